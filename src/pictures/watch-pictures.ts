// Notices the pictures that isotovideo writes, thumbnails too, by events of the file system. Folders are opened without
// following links and watched as what was opened: nothing outside the pool is ever watched.
import { type FSWatcher, watch } from "node:fs";
import { type FileHandle, readdir } from "node:fs/promises";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { openFolderInside } from "../results/pool-file.ts";
import { sleep } from "../sleep.ts";
import { SettledNames } from "./settled-names.ts";

const pictureFolder = "testresults";
const thumbnailFolder = ".thumbs";
interface Watch {
  readonly poolDirectory: string;
  /** Gets the path in the pool of a picture that has been written, maybe again. */
  readonly onPicture: (inPool: string) => void;
  /** Without an event, until a picture counts as written. */
  readonly settleMs: number;
}

export interface WatchOptions extends Omit<Watch, "settleMs"> {
  /** Whether pictures that are there already are told as well. */
  readonly isNewJob: boolean;
  readonly settleMs?: number;
  /** Between looks for the folder, which isotovideo makes when it has started. */
  readonly lookIntervalMs?: number;
}

/** Until aborted. Never throws: where nothing can be watched, the log says so at level debug. */
export async function watchPictures(
  { isNewJob, lookIntervalMs = 1000, settleMs = 300, ...options }: WatchOptions,
  { signal, log }: Context,
): Promise<void> {
  const watched = { ...options, settleMs };
  try {
    for (let isNew = isNewJob; ; isNew = true) {
      await using folder = await WatchedFolder.open(pictureFolder, watched);
      if (folder) await folder.untilGone(isNew, signal);
      await sleep(lookIntervalMs, signal);
    }
  } catch (error) {
    if (!signal.aborted)
      log.debug(`Pictures are noticed only when they are to be uploaded: ${errorText(error)}`);
  }
}

class WatchedFolder implements AsyncDisposable {
  private readonly gone = Promise.withResolvers<void>();
  private readonly watcher: FSWatcher;
  private readonly settled: SettledNames;
  /** Of the folder with the thumbnails. */
  private within: Promise<WatchedFolder | undefined> | undefined;

  private constructor(
    private readonly name: string,
    private readonly handle: FileHandle,
    private readonly watched: Watch,
  ) {
    this.settled = new SettledNames(
      watched.settleMs,
      (names) => void this.tell(names).catch(this.gone.reject),
    );
    this.watcher = watch(this.path, (_, entry) => {
      if (entry !== null) this.note(entry);
    });
    this.watcher.on("error", this.gone.reject);
    this.gone.promise.catch(() => {});
  }

  /** Undefined when there is none. Throws when it cannot be watched. */
  static async open(name: string, watched: Watch): Promise<WatchedFolder | undefined> {
    const handle = await openFolderInside(watched.poolDirectory, name);
    if (handle === undefined) return undefined;
    try {
      return new WatchedFolder(name, handle, watched);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Resolves when it has been removed. `isNew`: what is in it by now is told as well. Throws the signal's reason. */
  async untilGone(isNew: boolean, signal: AbortSignal): Promise<void> {
    const abort = () => this.gone.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      await this.begin(isNew);
      await this.gone.promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.watcher.close();
    this.settled[Symbol.dispose]();
    await (await this.within?.catch(() => undefined))?.[Symbol.asyncDispose]();
    await this.handle.close();
  }

  private get path(): string {
    return `/proc/self/fd/${this.handle.fd}`;
  }

  private async begin(isNew: boolean): Promise<void> {
    if (isNew) for (const entry of await readdir(this.path)) this.note(entry);
    else if (this.name === pictureFolder) await this.watchWithin(false);
  }

  private note(entry: string): void {
    // Something in it is removed, maybe the last before it is itself: that has to be looked at.
    this.settled.note(entry.endsWith(".png") ? entry : ".");
    if (entry === thumbnailFolder && this.name === pictureFolder)
      void this.watchWithin(true).catch(this.gone.reject);
  }

  /** The folder may be a new one by now. */
  private watchWithin(isNew: boolean): Promise<unknown> {
    const before = this.within;
    const open = async () => {
      await (await before?.catch(() => undefined))?.[Symbol.asyncDispose]();
      const folder = await WatchedFolder.open(`${pictureFolder}/${thumbnailFolder}`, this.watched);
      await folder?.begin(isNew);
      return folder;
    };
    this.within = open();
    return this.within;
  }

  private async tell(names: readonly string[]): Promise<void> {
    for (const name of names) if (name !== ".") this.watched.onPicture(`${this.name}/${name}`);
    if ((await this.handle.stat()).nlink === 0) this.gone.resolve();
  }
}
