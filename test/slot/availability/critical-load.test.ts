import { describe, expect, test } from "bun:test";
import { criticalLoad, findCriticalLoad } from "../../../src/slot/availability/critical-load.ts";

/** Averages over 1, 5 and 15 minutes, and whether they keep a slot with a threshold of 40 from taking jobs. */
const cases: readonly (readonly [string, readonly number[], boolean])[] = [
  ["low load", [1, 2, 3], false],
  ["a load just at the threshold", [40, 30, 20], false],
  ["rising load", [41, 30, 20], true],
  ["load above its average of 15 minutes only", [41, 45, 20], true],
  ["falling load", [10, 41, 45], false],
  ["falling load that is too high for all three averages", [41, 42, 43], true],
  ["unreadable load", [], false],
];

describe("critical load (field lesson 28)", () => {
  test.each(cases)("%s", (_, loads, isCritical) => {
    expect(criticalLoad(loads, 40) !== undefined).toBe(isCritical);
  });

  test("names the averages and the threshold", () => {
    expect(criticalLoad([50, 30, 20.5], 40)).toBe(
      "The average load (50 30 20.5) is exceeding the configured threshold of 40. The worker will temporarily not accept new jobs until the load is lower again.",
    );
  });

  test("is not looked at with a threshold of 0", () => {
    expect(criticalLoad([500, 30, 20], 0)).toBeUndefined();
  });

  test("is none where the load cannot be read", async () => {
    const settings = { loadAverageFile: "/dev/null/loadavg", criticalLoadAverage: 0.001 };
    expect(await findCriticalLoad(settings)).toBeUndefined();
  });
});
