// How late the event loop of this process is: looked at by a timer, which there is only while somebody records.
import { LagHistogram, type LagSummary } from "./lag-histogram.ts";

/** Costs 3 to 5 s of CPU in an hour, nearly all of it for waking up. */
const defaultIntervalMs = 100;
const defaultBlockedMs = 1000;
/** Of one block, so that even a machine that was halted for a day is soon counted. */
const maxSamplesAtOnce = 1000;

export interface EventLoopLagOptions {
  /**
   * The event loop stood still for more than `blockedMs`: once each time. `cpuMs` is what the whole process computed in
   * that time: with much less than that it was the machine that had no time for it.
   */
  readonly onBlocked?: (lagMs: number, cpuMs: number) => void;
  readonly blockedMs?: number;
  readonly intervalMs?: number;
  readonly clock?: LagClock;
}

export interface LagClock {
  /** Milliseconds from any start, never set back. */
  now(): number;
  /** CPU time of the process so far, in milliseconds. */
  cpuMs(): number;
  /** Calls back once; what it returns calls that off. */
  after(ms: number, call: () => void): () => void;
}

/** What was recorded from a moment on, until it is disposed of. */
export interface LagRecord extends Disposable {
  /** Also afterwards. Undefined when there was no sample yet. */
  summary(): LagSummary | undefined;
}

export class EventLoopLag {
  private readonly all = new LagHistogram();
  private readonly records = new Set<LagHistogram>();
  private callOff: (() => void) | undefined;
  private readonly clock: LagClock;
  private readonly intervalMs: number;

  constructor(private readonly options: EventLoopLagOptions = {}) {
    this.clock = options.clock ?? processClock;
    this.intervalMs = options.intervalMs ?? defaultIntervalMs;
  }

  /** For each job its own; they may overlap. */
  record(): LagRecord {
    const histogram = new LagHistogram();
    this.records.add(histogram);
    if (this.callOff === undefined) this.look();
    return {
      summary: () => histogram.summary(),
      [Symbol.dispose]: () => this.end(histogram),
    };
  }

  /** Of all that was recorded by anybody. */
  summary(): LagSummary | undefined {
    return this.all.summary();
  }

  private end(histogram: LagHistogram): void {
    this.records.delete(histogram);
    if (this.records.size > 0) return;
    this.callOff?.();
    this.callOff = undefined;
  }

  private look(): void {
    const dueMs = this.clock.now() + this.intervalMs;
    const cpuBeforeMs = this.clock.cpuMs();
    this.callOff = this.clock.after(this.intervalMs, () => {
      this.look();
      this.note(Math.max(0, this.clock.now() - dueMs), cpuBeforeMs);
    });
  }

  private note(lagMs: number, cpuBeforeMs: number): void {
    for (const histogram of [this.all, ...this.records]) addBlock(histogram, lagMs, this.intervalMs);
    if (lagMs > (this.options.blockedMs ?? defaultBlockedMs))
      this.options.onBlocked?.(lagMs, this.clock.cpuMs() - cpuBeforeMs);
  }
}

/** Whatever else was due in that time was late as well: without these samples a block would count as little as any moment. */
function addBlock(histogram: LagHistogram, lagMs: number, intervalMs: number): void {
  histogram.add(lagMs);
  for (let count = 1; count < maxSamplesAtOnce && lagMs > count * intervalMs; count++)
    histogram.add(lagMs - count * intervalMs);
}

const processClock: LagClock = {
  now: () => performance.now(),
  cpuMs() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};
