import { expect, test } from "bun:test";
import { LagHistogram, lagText } from "../../src/ops/lag-histogram.ts";

function of(...lags: readonly number[]) {
  const histogram = new LagHistogram();
  for (const lag of lags) histogram.add(lag);
  return histogram.summary();
}

/** What it says is at most 10 % above the sample it stands for, and never below. */
function expectNear(found: number | undefined, exact: number): void {
  expect(found).toBeGreaterThanOrEqual(exact);
  expect(found).toBeLessThanOrEqual(exact * 1.1 + 1e-9);
}

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

test.each([
  ["one", [7], 7, 7],
  ["a hundred in order", upTo(100), 50, 99],
  ["a hundred the other way round", upTo(100).toReversed(), 50, 99],
  ["mostly short ones", [...Array(99).fill(0.5), 400], 0.5, 0.5],
  ["two long ones among a hundred", [...Array(98).fill(0.5), 400, 500], 0.5, 400],
])("median and p99 of %s", (_, lags, p50, p99) => {
  const summary = of(...lags);
  expectNear(summary?.p50Ms, p50);
  expectNear(summary?.p99Ms, p99);
  expect(summary?.maxMs).toBe(Math.max(...lags));
  expect(summary?.samples).toBe(lags.length);
});

test("without samples there is nothing to say", () => {
  expect(of()).toBeUndefined();
  expect(lagText(undefined)).toBe("Event loop: not looked at");
});

test("no figure is above the maximum, which is exact, however long or short the lags are", () => {
  expect(of(0)).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0, samples: 1 });
  expect(of(10.03)).toEqual({ p50Ms: 10.03, p99Ms: 10.03, maxMs: 10.03, samples: 1 });
  expect(of(86_400_000)).toEqual({ p50Ms: 86_400_000, p99Ms: 86_400_000, maxMs: 86_400_000, samples: 1 });
});

test("the line for the log", () => {
  expect(lagText({ p50Ms: 0.234, p99Ms: 12.345, maxMs: 1234.5, samples: 99 })).toBe(
    "Event loop: late by 0.2 ms (median), 12 ms (p99), 1235 ms (max) in 99 samples",
  );
});
