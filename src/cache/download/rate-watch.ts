// Notices that a transfer has become so slow that it will not come to its end: too few bytes in a sliding window.

/** The window moves by this share of itself. */
const stepsPerWindow = 10;

export class RateWatch {
  /** Bytes by step, at most a window of them, the current one last. */
  private steps = [0];
  private isPaused = false;
  private readonly timer: ReturnType<typeof setInterval>;

  /** Calls `onStall` once when fewer than `minBytes` have come within `windowMs`. `stop` must be called in the end. */
  constructor(
    private readonly minBytes: number,
    windowMs: number,
    private readonly onStall: (receivedBytes: number) => void,
  ) {
    this.timer = setInterval(() => this.step(), windowMs / stepsPerWindow);
  }

  note(receivedBytes: number): void {
    this.steps[this.steps.length - 1] = (this.steps.at(-1) ?? 0) + receivedBytes;
  }

  /** Time in which nobody wants bytes does not count. */
  async pausedFor(wait: Promise<void>): Promise<void> {
    this.isPaused = true;
    try {
      await wait;
    } finally {
      this.isPaused = false;
    }
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private step(): void {
    if (this.isPaused) return;
    if (this.steps.length === stepsPerWindow) {
      const received = this.steps.reduce((sum, bytes) => sum + bytes, 0);
      if (received < this.minBytes) {
        this.stop();
        this.onStall(received);
        return;
      }
      this.steps.shift();
    }
    this.steps.push(0);
  }
}
