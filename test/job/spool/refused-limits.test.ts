import { expect, test } from "bun:test";
import { beyondLimits } from "../../../src/job/spool/refused-limits.ts";

const now = 1_000_000;
const limits = { keepRefusedMs: 1000, keepRefusedBytes: 100 };
/** Ages in milliseconds and sizes in bytes, by name. */
const cases: readonly (readonly [
  string,
  Record<string, readonly [number, number]>,
  typeof limits,
  string[],
])[] = [
  ["nothing", {}, limits, []],
  ["all within the limits", { a: [1, 50], b: [999, 50] }, limits, []],
  ["too old", { a: [1000, 1], b: [999, 1] }, limits, ["a"]],
  ["the oldest goes first", { old: [3, 40], new: [1, 40], middle: [2, 40] }, limits, ["old"]],
  [
    "older ones go even if they would fit",
    { old: [3, 1], new: [1, 60], middle: [2, 60] },
    limits,
    ["old", "middle"],
  ],
  ["too big a new one does not push others out", { old: [3, 100], new: [1, 101] }, limits, ["new"]],
  ["no time", { a: [0, 1] }, { ...limits, keepRefusedMs: 0 }, ["a"]],
  ["no room", { a: [0, 1] }, { ...limits, keepRefusedBytes: 0 }, ["a"]],
  ["bigger than can be counted", { a: [0, Number.POSITIVE_INFINITY] }, limits, ["a"]],
  ["from the future", { a: [-5000, 1] }, limits, []],
];

test.each(cases)("%s", (_, given, limits, gone) => {
  const entries = Object.entries(given).map(([name, [ageMs, sizeBytes]]) => ({
    name,
    refusedAt: now - ageMs,
    sizeBytes,
  }));
  expect(beyondLimits(entries, limits, now)).toEqual(gone);
});

test("no more than 1000 are kept", () => {
  const entries = Array.from({ length: 1002 }, (_, i) => ({
    name: `${i}`,
    refusedAt: now - i / 10,
    sizeBytes: 0,
  }));
  expect(beyondLimits(entries, limits, now)).toEqual(["1000", "1001"]);
});
