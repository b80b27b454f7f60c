// When the picture process is not started again for a while: a program that cannot run, and pictures that break it one
// after the other, must not burn the CPU that jobs need.

/** One after the other without an answer in between. */
const maxInARow = 2;
/** In all, from the first until the pause would be over. */
const maxInAll = 10;
const pauseMs = 10 * 60_000;

export class ProcessFaults {
  private inARow = 0;
  private inAll = 0;
  private countedSinceMs = Number.NEGATIVE_INFINITY;
  private pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly now: () => number = () => performance.now()) {}

  get isPause(): boolean {
    return this.now() < this.pausedUntilMs;
  }

  noteAnswer(): void {
    this.inARow = 0;
  }

  /** How long it is not to be started; 0: it may be started at once. */
  noteFault(): { readonly pauseMs: number } {
    const now = this.now();
    if (now - this.countedSinceMs >= pauseMs) {
      this.countedSinceMs = now;
      this.inAll = 0;
    }
    this.inARow++;
    this.inAll++;
    if (this.inARow < maxInARow && this.inAll < maxInAll) return { pauseMs: 0 };
    this.inARow = 0;
    this.countedSinceMs = Number.NEGATIVE_INFINITY;
    this.pausedUntilMs = now + pauseMs;
    return { pauseMs };
  }
}
