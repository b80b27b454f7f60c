import { describe, expect, test } from "bun:test";
import { maxSlots, parseInstances } from "../../src/config/flags.ts";
import { UsageError } from "../../src/errors.ts";

describe("--instance", () => {
  const cases: readonly [text: string, instances: number[]][] = [
    ["1", [1]],
    ["0", [1]],
    ["007", [7]],
    ["1-4", [1, 2, 3, 4]],
    ["3,1", [1, 3]],
    ["1-2,5", [1, 2, 5]],
    ["1-3,2-4,4", [1, 2, 3, 4]],
    ["2 , 4", [2, 4]],
    ["2001-2002", [2001, 2002]],
  ];
  test.each(cases)("%p names its slots, sorted and once", (text, instances) => {
    expect(parseInstances(text)).toEqual(instances);
  });

  test.each([
    "",
    "a",
    "-1",
    "1.5",
    "0-3",
    "1,0",
    "4-1",
    "1,,2",
    "1-",
    "1-2-3",
    "1e2",
    "99999999999999999999",
  ])("%p is wrong usage, and the message shows it", (text) => {
    expect(() => parseInstances(text)).toThrow(UsageError);
    expect(() => parseInstances(text)).toThrow(`--instance ${text}: expected`);
  });

  test("the number of slots is bounded, in ranges and in lists", () => {
    expect(parseInstances(`1-${maxSlots}`)).toHaveLength(maxSlots);
    for (const text of [`1-${maxSlots + 1}`, "1-9007199254740991", `1-${maxSlots},2000`]) {
      expect(() => parseInstances(text)).toThrow(
        `--instance ${text}: expected at most ${maxSlots} instances`,
      );
    }
  });
});
