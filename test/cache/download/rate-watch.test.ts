import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { RateWatch } from "../../../src/cache/download/rate-watch.ts";

const windowMs = 1000;
let stalls: number[];
let watch: RateWatch;
beforeEach(() => {
  jest.useFakeTimers();
  stalls = [];
  watch = new RateWatch(100, windowMs, (receivedBytes) => stalls.push(receivedBytes));
});
afterEach(() => {
  watch.stop();
  jest.useRealTimers();
});

/** Bytes come evenly. */
function transfer(ms: number, bytesPerStep: number): void {
  for (let at = 0; at < ms; at += 100) {
    watch.note(bytesPerStep);
    jest.advanceTimersByTime(100);
  }
}

test("silence from the start is a stall after one window, told once", () => {
  jest.advanceTimersByTime(windowMs - 1);
  expect(stalls).toEqual([]);
  jest.advanceTimersByTime(1);
  expect(stalls).toEqual([0]);
  jest.advanceTimersByTime(10 * windowMs);
  expect(stalls).toEqual([0]);
});

test("just enough is no stall, a little less is one", () => {
  transfer(5 * windowMs, 10);
  expect(stalls).toEqual([]);
  transfer(windowMs, 9);
  expect(stalls).toEqual([99]);
});

test("a byte per window is a stall", () => {
  transfer(windowMs, 1000);
  watch.note(1);
  jest.advanceTimersByTime(2 * windowMs);
  expect(stalls).toEqual([1]);
});

test("many bytes count for their window only", () => {
  watch.note(1_000_000);
  jest.advanceTimersByTime(windowMs);
  expect(stalls).toEqual([]);
  jest.advanceTimersByTime(windowMs);
  expect(stalls).toEqual([0]);
});

test("time in which the disk is waited for does not count, the time after it does", async () => {
  const written = Promise.withResolvers<void>();
  const paused = watch.pausedFor(written.promise);
  jest.advanceTimersByTime(10 * windowMs);
  expect(stalls).toEqual([]);
  written.resolve();
  await paused;
  jest.advanceTimersByTime(windowMs);
  expect(stalls).toEqual([0]);
});

test("stopped it says nothing", () => {
  watch.stop();
  jest.advanceTimersByTime(10 * windowMs);
  expect(stalls).toEqual([]);
});
