import { expect, test } from "bun:test";
import { FinishedRuns } from "../../../src/cache/service/finished-runs.ts";

const limits = { requests: 3, ageMs: 1000, outputLength: 100 };

function run(requestIds: number[], endedAtMs = 0, outputLength = 1) {
  return { requestIds, endedAtMs, outputLength };
}

test("as many requests are remembered as allowed, the last ones", () => {
  const runs = new FinishedRuns(limits);
  runs.add(run([1, 2]));
  runs.add(run([3]));
  expect(runs.forget(0)).toEqual([]);
  runs.add(run([4]));
  expect(runs.forget(0)).toEqual([1, 2]);
  expect(runs.forget(0)).toEqual([]);
});

test("what is too old is forgotten", () => {
  const runs = new FinishedRuns(limits);
  runs.add(run([1], 0));
  runs.add(run([2], 500));
  expect(runs.forget(1000)).toEqual([]);
  expect(runs.forget(1001)).toEqual([1]);
  expect(runs.forget(9999)).toEqual([2]);
});

test("the oldest are forgotten when all output together is too much", () => {
  const runs = new FinishedRuns(limits);
  runs.add(run([1], 0, 60));
  runs.add(run([2], 0, 40));
  expect(runs.forget(0)).toEqual([]);
  runs.add(run([3], 0, 60));
  expect(runs.forget(0)).toEqual([1]);
});
