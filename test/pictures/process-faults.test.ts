import { expect, test } from "bun:test";
import { ProcessFaults } from "../../src/pictures/process-faults.ts";

const tenMinutesMs = 600_000;

function played() {
  const clock = { nowMs: 0 };
  return { clock, faults: new ProcessFaults(() => clock.nowMs) };
}

test("a single fault is no reason to pause", () => {
  const { faults } = played();
  expect(faults.noteFault()).toEqual({ pauseMs: 0 });
  expect(faults.isPause).toBe(false);
});

test("two in a row are: for ten minutes", () => {
  const { faults, clock } = played();
  faults.noteFault();
  expect(faults.noteFault()).toEqual({ pauseMs: tenMinutesMs });
  expect(faults.isPause).toBe(true);
  clock.nowMs = tenMinutesMs;
  expect(faults.isPause).toBe(false);
  expect(faults.noteFault()).toEqual({ pauseMs: 0 });
});

test("with answers in between it takes ten of them within ten minutes", () => {
  const { faults, clock } = played();
  const pauses = Array.from({ length: 10 }, () => {
    clock.nowMs += 1000;
    faults.noteAnswer();
    return faults.noteFault().pauseMs;
  });
  expect(pauses).toEqual([...Array(9).fill(0), tenMinutesMs]);
});

test("faults that are rare never lead to a pause", () => {
  const { faults, clock } = played();
  for (let count = 0; count < 50; count++) {
    clock.nowMs += tenMinutesMs / 5;
    faults.noteAnswer();
    expect(faults.noteFault()).toEqual({ pauseMs: 0 });
  }
});
