// What is remembered of work that is done, until its clients have had the time to ask: bounded.

/** Work for any number of requests. */
export interface FinishedRun {
  readonly requestIds: readonly number[];
  readonly endedAtMs: number;
  /** Of its log text. */
  readonly outputLength: number;
}

export interface FinishedLimits {
  readonly requests: number;
  readonly ageMs: number;
  /** Characters, over all. */
  readonly outputLength: number;
}

export const finishedLimits: FinishedLimits = {
  requests: 10_000,
  ageMs: 2 * 24 * 3600 * 1000,
  outputLength: 64 * 1024 * 1024,
};

export class FinishedRuns {
  private readonly runs: FinishedRun[] = [];
  private requests = 0;
  private outputLength = 0;

  constructor(private readonly limits: FinishedLimits = finishedLimits) {}

  add(run: FinishedRun): void {
    this.runs.push(run);
    this.requests += run.requestIds.length;
    this.outputLength += run.outputLength;
  }

  /** Drops what is too old or too much, the oldest first: ids of the requests that nothing is known of any more. */
  forget(nowMs: number): readonly number[] {
    const { requests, ageMs, outputLength } = this.limits;
    const forgotten: number[] = [];
    for (let oldest = this.runs[0]; oldest !== undefined; oldest = this.runs[0]) {
      const isOld = nowMs - oldest.endedAtMs > ageMs;
      if (!isOld && this.requests <= requests && this.outputLength <= outputLength) break;
      this.runs.shift();
      this.requests -= oldest.requestIds.length;
      this.outputLength -= oldest.outputLength;
      forgotten.push(...oldest.requestIds);
    }
    return forgotten;
  }
}
