import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { Patience, type PatienceOptions } from "../../src/pictures/patience.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function played(options: Partial<PatienceOptions> = {}) {
  const stopping = new AbortController();
  const ended = { count: 0 };
  const usual = { endDelayMs: 30_000, stop: stopping.signal, stallMs: 5000 };
  const patience = new Patience({ ...usual, ...options }, () => {
    ended.count++;
  });
  return { patience, stopping, ended };
}

test("while the job runs there is no end to it, even when nothing becomes ready", () => {
  const { patience, ended } = played();
  patience.progress(3);
  jest.advanceTimersByTime(1_000_000);
  expect(ended.count).toBe(0);
});

test("when the job has ended it lasts for the time that is set, as long as pictures become ready", () => {
  const { patience, ended } = played();
  patience.begin(10);
  for (let seconds = 3; seconds < 30; seconds += 3) {
    jest.advanceTimersByTime(3000);
    patience.progress(5);
  }
  jest.advanceTimersByTime(2999);
  expect(ended.count).toBe(0);
  jest.advanceTimersByTime(1);
  expect(ended.count).toBe(1);
});

test("it is over when for a while none has become ready of those that are waited for", () => {
  const { patience, ended } = played();
  patience.begin(2);
  jest.advanceTimersByTime(4000);
  patience.progress(1);
  jest.advanceTimersByTime(4999);
  expect(ended.count).toBe(0);
  jest.advanceTimersByTime(1);
  expect(ended.count).toBe(1);
});

test("where none is waited for, only the time that is set counts", () => {
  const { patience, ended } = played();
  patience.begin(1);
  patience.progress(0);
  jest.advanceTimersByTime(29_999);
  expect(ended.count).toBe(0);
});

test("with a delay of 0 it is over with the job", () => {
  const { patience, ended } = played({ endDelayMs: 0 });
  patience.begin(1);
  expect(ended.count).toBe(1);
});

test("it is over when the worker is told to stop, or was told so before; once", () => {
  const { patience, stopping, ended } = played();
  stopping.abort();
  patience.begin(1);
  jest.advanceTimersByTime(60_000);
  expect(ended.count).toBe(1);
  expect(played({ stop: stopping.signal }).ended.count).toBe(1);
});

test("nothing comes of it once nobody needs it any more", () => {
  const { patience, stopping, ended } = played();
  patience.begin(1);
  patience[Symbol.dispose]();
  patience.progress(1);
  stopping.abort();
  jest.advanceTimersByTime(60_000);
  expect(ended.count).toBe(0);
});
