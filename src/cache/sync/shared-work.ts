// Work that several callers of this process want the outcome of: done once, for as long as somebody waits for it.
import { abortable } from "../../abortable.ts";

export interface Shared<S> {
  /** Aborted when the last who waited has left. */
  readonly signal: AbortSignal;
  /** Who waits for it at the moment, in order of arrival. */
  readonly sharers: ReadonlySet<S>;
}

interface Work<S, T> {
  readonly sharers: Set<S>;
  readonly abort: AbortController;
  readonly outcome: Promise<T>;
}

export class SharedWork<S, T> {
  private readonly running = new Map<string, Work<S, T>>();

  /**
   * Joins the work of that key, or begins it. Throws the signal's reason when that is aborted: at once while others
   * wait, else when the work has come to its end.
   */
  async join(
    key: string,
    sharer: S,
    signal: AbortSignal,
    begin: (shared: Shared<S>) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const work = this.running.get(key) ?? this.start(key, sharer, begin);
    work.sharers.add(sharer);
    try {
      return await abortable(work.outcome, signal);
    } finally {
      work.sharers.delete(sharer);
      if (signal.aborted && work.sharers.size === 0) {
        this.forget(key, work);
        work.abort.abort(signal.reason);
        await work.outcome.catch(() => {});
      }
    }
  }

  private start(key: string, sharer: S, begin: (shared: Shared<S>) => Promise<T>): Work<S, T> {
    const sharers = new Set([sharer]);
    const abort = new AbortController();
    const work: Work<S, T> = {
      sharers,
      abort,
      outcome: begin({ signal: abort.signal, sharers }).finally(() => this.forget(key, work)),
    };
    this.running.set(key, work);
    return work;
  }

  /** Whoever comes from now on begins anew. */
  private forget(key: string, work: Work<S, T>): void {
    if (this.running.get(key) === work) this.running.delete(key);
  }
}
