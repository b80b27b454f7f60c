// Names of files that something happens to, told once nothing has happened to them for a while: a file is written in
// several steps, and no event says which of them is the last.

/** Further ones are left out. */
const maxUnsettled = 10_000;

export class SettledNames implements Disposable {
  /** By name, the time of the last event; the oldest first. */
  private readonly lastEvents = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;

  /** `settleMs`: without an event. */
  constructor(
    private readonly settleMs: number,
    private readonly onSettled: (names: readonly string[]) => void,
  ) {}

  note(name: string): void {
    const isKnown = this.lastEvents.delete(name);
    if (!isKnown && this.lastEvents.size >= maxUnsettled) return;
    this.lastEvents.set(name, performance.now());
    this.timer ??= setTimeout(() => this.tell(), this.settleMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.timer);
    this.lastEvents.clear();
  }

  private tell(): void {
    const now = performance.now();
    const settled: string[] = [];
    this.timer = undefined;
    for (const [name, atMs] of this.lastEvents) {
      const leftMs = atMs + this.settleMs - now;
      // A timer may be early by a fraction of a millisecond.
      if (leftMs > 1) {
        this.timer = setTimeout(() => this.tell(), leftMs);
        break;
      }
      this.lastEvents.delete(name);
      settled.push(name);
    }
    if (settled.length > 0) this.onSettled(settled);
  }
}
