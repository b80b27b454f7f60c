// How long the end of a job waits for its pictures: for a time that is set, not while nothing becomes ready, as on a host
// whose jobs leave the picture process no CPU, and not at all when the worker is told to stop.

/** Without a picture that becomes ready. */
const maxStallMs = 5000;

export interface PatienceOptions {
  /** From `begin` on. */
  readonly endDelayMs: number;
  /** Aborted when there is none any more. */
  readonly stop: AbortSignal;
  readonly stallMs?: number;
}

export class Patience implements Disposable {
  private hasBegun = false;
  private isOver = false;
  private deadline: NodeJS.Timeout | undefined;
  private stall: NodeJS.Timeout | undefined;
  private readonly end = () => this.beOver();

  /** `onOver` is called once. */

  constructor(
    private readonly options: PatienceOptions,
    private readonly onOver: () => void,
  ) {
    options.stop.addEventListener("abort", this.end, { once: true });
    if (options.stop.aborted) this.end();
  }

  /** The job has ended. Repeated: no change. */
  begin(waitingCount: number): void {
    if (this.hasBegun) return;
    this.hasBegun = true;
    const { endDelayMs } = this.options;
    if (endDelayMs === 0) this.end();
    if (this.isOver) return;
    this.deadline = setTimeout(this.end, endDelayMs);
    this.progress(waitingCount);
  }

  /** A picture has become ready, or is waited for as well. */
  progress(waitingCount: number): void {
    clearTimeout(this.stall);
    if (this.hasBegun && !this.isOver && waitingCount > 0)
      this.stall = setTimeout(this.end, this.options.stallMs ?? maxStallMs);
  }

  [Symbol.dispose](): void {
    this.isOver = true;
    clearTimeout(this.deadline);
    clearTimeout(this.stall);
    this.options.stop.removeEventListener("abort", this.end);
  }

  private beOver(): void {
    if (this.isOver) return;
    this[Symbol.dispose]();
    this.onOver();
  }
}
