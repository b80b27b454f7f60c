// A worker thread of the index that has been started: its calls under way, and its end.
import { CacheError } from "../../errors.ts";
import type { Logger } from "../../ops/log.ts";
import type { CacheFolder } from "../cache-folder.ts";
import type { FromThread, IndexCall, IndexRow, ToThread } from "./thread-messages.ts";

/** The build puts the entry of the thread beside all other code, so that it is found there as well. */
const threadEntry = new URL("./index-thread.ts", import.meta.url).href;

export interface ThreadOptions {
  /** For another process to let go of the index. */
  readonly waitMs: number;
  /** Without a call for so long, the thread ends. */
  readonly idleMs: number;
  /** URL of its program. */
  readonly entry?: string;
}

type PendingCall = PromiseWithResolvers<readonly IndexRow[]>;

export class RunningThread {
  /** Resolves when the thread is no more. */
  readonly ended: Promise<void>;
  private readonly worker: Worker;
  private readonly pending = new Map<number, PendingCall>();
  private lastId = 0;
  private idleTimer: ReturnType<typeof setTimeout> | undefined;
  private takesNoMore = false;

  constructor(
    private readonly folder: CacheFolder,
    private readonly options: ThreadOptions,
    private readonly log: Logger,
  ) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.worker = new Worker(options.entry ?? threadEntry);
    this.worker.addEventListener("message", ({ data }: MessageEvent<FromThread>) => this.hear(data));
    this.worker.addEventListener("error", ({ message }) => this.giveUp(`has failed: ${message}`));
    this.worker.addEventListener("close", () => {
      this.giveUp("has ended");
      resolve();
    });
    this.tell({ kind: "open", folder, waitMs: options.waitMs });
  }

  /** Takes calls. */
  get isOpen(): boolean {
    return !this.takesNoMore;
  }

  /** Rejects with `CacheError`. */
  call(call: IndexCall): Promise<readonly IndexRow[]> {
    clearTimeout(this.idleTimer);
    const id = ++this.lastId;
    const answer: PendingCall = Promise.withResolvers();
    this.pending.set(id, answer);
    this.tell({ kind: "call", id, call });
    return answer.promise;
  }

  /**
   * Gives up what is under way and lets the thread close the index and end. It is not ended by force: that could keep
   * the locks of an open transaction.
   */
  end(): void {
    if (this.takesNoMore) return;
    this.tell({ kind: "close" });
    this.giveUp("has been closed");
    this.worker.unref();
  }

  private hear(message: FromThread): void {
    if (message.kind === "log") this.pass(message);
    else this.settle(message);
  }

  private pass({ level, text }: Extract<FromThread, { kind: "log" }>): void {
    if (level === "warn" || level === "error") this.log[level](text);
    else this.log.info(text);
  }

  private settle(message: Exclude<FromThread, { kind: "log" }>): void {
    const call = this.pending.get(message.id);
    this.pending.delete(message.id);
    if (message.kind === "done") call?.resolve(message.rows);
    else call?.reject(new CacheError(message.text));
    if (this.pending.size === 0 && this.isOpen)
      this.idleTimer = setTimeout(() => this.end(), this.options.idleMs);
  }

  private giveUp(what: string): void {
    this.takesNoMore = true;
    clearTimeout(this.idleTimer);
    for (const call of this.pending.values())
      call.reject(new CacheError(`The index ${this.folder.indexFile} ${what}`));
    this.pending.clear();
  }

  private tell(message: ToThread): void {
    this.worker.postMessage(message);
  }
}
