import { describe, expect, test } from "bun:test";
import { AssetCaches } from "../../src/cache/worker/asset-caches.ts";
import { Availability, criticalLoad } from "../../src/slot/availability.ts";
import { JobHost, recordingContext } from "../job/job-host.ts";

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
});

describe("a cache whose disk hangs", () => {
  class HangingCaches extends AssetCaches {
    override of(): Promise<never> {
      return new Promise(() => {});
    }
  }

  async function onHangingDisk(signal: AbortSignal) {
    const env = { OPENQA_WORKER_CACHE_SERVICE_CHECK_INACTIVITY_TIMEOUT: "0.01", OPENQA_BASE_PORT: "1" };
    await using host = await JobHost.make({}, "[global]\nCACHEDIRECTORY = cache\n", env);
    const { settings, program } = host;
    return new Availability({ settings, program, caches: new HangingCaches() }, recordingContext(signal));
  }

  test("makes the slot unavailable, after a while", async () => {
    const availability = await onHangingDisk(new AbortController().signal);
    expect(await availability.check()).toMatch(
      /^Worker cache not available: .*cache does not answer within 5/,
    );
  }, 20_000);

  test("does not keep the worker from stopping (field lesson 12)", async () => {
    const stop = new AbortController();
    const checked = (await onHangingDisk(stop.signal)).check();
    stop.abort(new Error("stopped"));
    expect((await checked) ?? "").not.toContain("cache");
  });
});
