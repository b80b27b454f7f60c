// The deadlines of one try of a request: as a whole, and of the phase it is in.

/** A deadline has passed; counts as a time-out in the retry table. */
export class DeadlineError extends Error {}

export class Deadlines {
  private readonly controller = new AbortController();
  private readonly total: Timer;
  private phase: Timer | undefined;
  private readonly abort = () => this.controller.abort(this.outer.reason);

  /** Starts the total deadline. `stop` must be called in the end. */
  constructor(
    totalMs: number,
    private readonly outer: AbortSignal,
  ) {
    this.total = setTimeout(() => this.controller.abort(new DeadlineError("Request timeout")), totalMs);
    if (outer.aborted) this.abort();
    else outer.addEventListener("abort", this.abort, { once: true });
  }

  /** Aborted when a deadline has passed or the outer signal is aborted. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Something has to happen within that time: the next call of this or of `stop`. */
  expectWithin(ms: number): void {
    clearTimeout(this.phase);
    this.phase = setTimeout(() => this.controller.abort(new DeadlineError("Inactivity timeout")), ms);
  }

  /** Also ends what is still going on with the connection. */
  stop(): void {
    clearTimeout(this.phase);
    clearTimeout(this.total);
    this.outer.removeEventListener("abort", this.abort);
    this.controller.abort();
  }
}
