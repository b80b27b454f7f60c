import { expect, test } from "bun:test";
import { EventLoopLag, type EventLoopLagOptions, type LagClock } from "../../src/ops/event-loop-lag.ts";

/** Time that passes only when a test says so. */
class TestClock implements LagClock {
  timeMs = 1000;
  cpu = 0;
  timers: { readonly dueMs: number; readonly call: () => void }[] = [];
  readonly now = () => this.timeMs;
  readonly cpuMs = () => this.cpu;
  readonly after = (ms: number, call: () => void) => {
    const timer = { dueMs: this.timeMs + ms, call };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  };

  /** The event loop gets to its timer that much after it was due. */
  tick(lagMs: number): void {
    const timer = this.timers.shift()!;
    this.timeMs = timer.dueMs + lagMs;
    timer.call();
  }
}

function recordedWith(options: EventLoopLagOptions = {}) {
  const clock = new TestClock();
  return { clock, lag: new EventLoopLag({ intervalMs: 50, clock, ...options }) };
}

test("each record is of its own time; all of them together are in the summary", () => {
  const { clock, lag } = recordedWith();
  const first = lag.record();
  clock.tick(1);
  const second = lag.record();
  clock.tick(20);
  first[Symbol.dispose]();
  clock.tick(3);
  second[Symbol.dispose]();
  expect(first.summary()).toMatchObject({ maxMs: 20, samples: 2 });
  expect(second.summary()).toMatchObject({ maxMs: 20, samples: 2 });
  expect(lag.summary()).toMatchObject({ maxMs: 20, samples: 3 });
});

test("there is one timer while anybody records, and none else", () => {
  const { clock, lag } = recordedWith();
  expect(clock.timers).toHaveLength(0);
  const records = [lag.record(), lag.record()];
  expect(clock.timers).toHaveLength(1);
  records[0]![Symbol.dispose]();
  records[0]![Symbol.dispose]();
  expect(clock.timers).toHaveLength(1);
  records[1]![Symbol.dispose]();
  expect(clock.timers).toHaveLength(0);
  using _again = lag.record();
  expect(clock.timers).toHaveLength(1);
});

test("time between records is no lag", () => {
  const { clock, lag } = recordedWith();
  lag.record()[Symbol.dispose]();
  clock.timeMs += 60_000;
  using record = lag.record();
  clock.tick(2);
  expect(record.summary()).toMatchObject({ maxMs: 2, samples: 1 });
});

test("a block counts for all that would have been due in it", () => {
  const { clock, lag } = recordedWith();
  using record = lag.record();
  clock.tick(200);
  const { p50Ms, ...rest } = record.summary()!;
  expect(rest).toEqual({ p99Ms: 200, maxMs: 200, samples: 4 });
  expect(p50Ms).toBeWithin(100, 110.001);
});

test("a machine that was halted for a day is soon counted", () => {
  const { clock, lag } = recordedWith();
  using record = lag.record();
  clock.tick(86_400_000);
  expect(record.summary()).toMatchObject({ maxMs: 86_400_000, samples: 1000 });
});

test("an early timer is not late", () => {
  const { clock, lag } = recordedWith();
  using record = lag.record();
  clock.tick(-1);
  expect(record.summary()).toMatchObject({ maxMs: 0, samples: 1 });
});

test("a block above the limit is said once each time, with the CPU time in it", () => {
  const said: [number, number][] = [];
  const { clock, lag } = recordedWith({ onBlocked: (lagMs, cpuMs) => said.push([lagMs, cpuMs]) });
  using _first = lag.record();
  using _second = lag.record();
  clock.tick(1000);
  clock.tick(1001);
  clock.cpu = 900;
  clock.tick(5);
  clock.cpu = 1000;
  clock.tick(2000);
  expect(said).toEqual([
    [1001, 0],
    [2000, 100],
  ]);
});

test("a real event loop that computes for 100 ms is that late", async () => {
  const { promise: blocked, resolve } = Promise.withResolvers<{ lagMs: number; cpuMs: number }>();
  const onBlocked = (lagMs: number, cpuMs: number) => resolve({ lagMs, cpuMs });
  const lag = new EventLoopLag({ onBlocked, blockedMs: 50, intervalMs: 5 });
  using record = lag.record();
  for (const endMs = performance.now() + 100; performance.now() < endMs; );
  const { lagMs, cpuMs } = await blocked;
  expect(lagMs).toBeGreaterThan(90);
  expect(cpuMs).toBeGreaterThan(10);
  expect(record.summary()?.maxMs).toBe(lagMs);
});
