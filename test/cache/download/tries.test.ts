import { expect, test } from "bun:test";
import { Tries } from "../../../src/cache/download/tries.ts";

const timing = { retryDelayMs: 100, maxRetryDelayMs: 500 };

test("waits double up to the longest one", () => {
  const tries = new Tries(Number.POSITIVE_INFINITY, timing, 0, () => 0);
  expect([1, 2, 3, 4, 5].map(() => tries.nextDelayMs(0))).toEqual([100, 200, 400, 500, 500]);
});

test("waits are up to a fifth longer", () => {
  expect(new Tries(2, timing, 0, () => 1).nextDelayMs(0)).toBe(120);
});

test("the server may ask for a longer wait, up to the longest one", () => {
  const tries = new Tries(9, timing, 0, () => 0);
  expect([tries.nextDelayMs(0, 300), tries.nextDelayMs(0, 10), tries.nextDelayMs(0, 86_400_000)]).toEqual([
    300, 200, 500,
  ]);
});

test("tries are used up when so many in a row got no further than where it started", () => {
  const tries = new Tries(3, timing, 50, () => 0);
  expect([tries.nextDelayMs(50), tries.nextDelayMs(20), tries.nextDelayMs(50)]).toEqual([
    100,
    200,
    undefined,
  ]);
});

test("a try that got further than any before starts the count and the waits afresh", () => {
  const tries = new Tries(3, timing, 0, () => 0);
  expect([tries.nextDelayMs(0), tries.nextDelayMs(0), tries.nextDelayMs(10)]).toEqual([100, 200, 100]);
  expect([tries.nextDelayMs(10), tries.nextDelayMs(5), tries.nextDelayMs(10)]).toEqual([100, 200, undefined]);
});
