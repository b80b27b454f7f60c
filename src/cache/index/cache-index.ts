// The index of a cache directory (protocol 6) as the program sees it. SQLite itself is in a worker thread, which waits
// there for other processes; it is started with the first call and ended when none has come for a while.
import { abortable } from "../../abortable.ts";
import type { Context } from "../../context.ts";
import { CacheError } from "../../errors.ts";
import type { Logger } from "../../ops/log.ts";
import type { CacheFolder } from "../cache-folder.ts";
import { RunningThread, type ThreadOptions } from "./running-thread.ts";
import type { IndexCall, IndexRow, StoredAsset } from "./thread-messages.ts";

export type { IndexRow, StoredAsset } from "./thread-messages.ts";

/** The thread takes about 9 MB; another one is there in some ms. */
const defaultIdleMs = 5000;
/** A thread that waits for another process cannot hear that it shall end; it ends when it has waited. */
const maxCloseMs = 1000;

/** Each call throws the signal's reason at once when that is aborted, and `CacheError` when the index cannot be used. */
export class CacheIndex implements AsyncDisposable {
  private thread: RunningThread | undefined;
  private isClosed = false;

  /** Starts nothing and touches nothing. */
  constructor(
    private readonly folder: CacheFolder,
    private readonly options: Pick<ThreadOptions, "waitMs"> & Partial<ThreadOptions>,
    private readonly log: Logger,
  ) {}

  async row(path: string, context: Context): Promise<IndexRow | undefined> {
    const [row] = await this.call({ kind: "row", path }, context);
    return row;
  }

  /** Least recently used first. */
  async rows(context: Context): Promise<readonly IndexRow[]> {
    return await this.call({ kind: "rows" }, context);
  }

  /** Adds or replaces a row: not pending, used now. */
  async store({ path, etag, sizeBytes }: StoredAsset, context: Context): Promise<void> {
    await this.call({ kind: "store", asset: { path, etag, sizeBytes } }, context);
  }

  /** Used now, not pending. No row: nothing happens. */
  async touch(path: string, context: Context): Promise<void> {
    await this.call({ kind: "touch", path }, context);
  }

  async remove(path: string, context: Context): Promise<void> {
    await this.call({ kind: "remove", path }, context);
  }

  /** Calls under way fail. */
  async close(): Promise<void> {
    this.isClosed = true;
    if (!this.thread) return;
    this.thread.end();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, maxCloseMs);
    await Promise.race([this.thread.ended, promise]);
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async call(call: IndexCall, { signal }: Context): Promise<readonly IndexRow[]> {
    signal.throwIfAborted();
    if (this.isClosed) throw new CacheError(`The index ${this.folder.indexFile} has been closed`);
    if (!this.thread?.isOpen)
      this.thread = new RunningThread(this.folder, { idleMs: defaultIdleMs, ...this.options }, this.log);
    return await abortable(this.thread.call(call), signal);
  }
}
