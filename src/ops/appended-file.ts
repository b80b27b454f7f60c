// A text file that lines are appended to, in order, without blocking anybody: log files of slots and jobs.
import { constants, type FileHandle, open } from "node:fs/promises";

const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Text waiting to be written beyond this is dropped, with a mark in the file: a full disk must not fill memory. */
const maxPendingChars = 16 * 1024 * 1024;

/** For a process that exits without closing them. */
const openFiles = new Set<AppendedFile>();

/** Resolves when all that was written to any of them is in the files, or when that takes too long. */
export async function flushOpenFiles(maxMs: number): Promise<void> {
  const flushed = Promise.all([...openFiles].map((file) => file.flush()));
  await Promise.race([flushed, Bun.sleep(maxMs)]);
}

export class AppendedFile {
  private pending = "";
  private hasDropped = false;
  private writing: Promise<void> | undefined;

  private constructor(
    private readonly handle: FileHandle,
    private readonly onError: (error: unknown) => void,
  ) {
    openFiles.add(this);
  }

  /** Opens for appending, made when missing. `isFresh`: there must be none yet. */
  static async open(
    path: string,
    { isFresh = false, onError = () => {} }: { isFresh?: boolean; onError?: (error: unknown) => void } = {},
  ): Promise<AppendedFile> {
    const flags = O_WRONLY | O_APPEND | O_CREAT | (isFresh ? O_EXCL | O_NOFOLLOW : 0);
    return new AppendedFile(await open(path, flags, 0o644), onError);
  }

  /** Opens a regular file that is there, for going on with it. Links are not followed. Throws for all else. */
  static async reopen(path: string, { onError = () => {} } = {}): Promise<AppendedFile> {
    const handle = await open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
    if ((await handle.stat()).isFile()) return new AppendedFile(handle, onError);
    await handle.close();
    throw new Error(`${path} is no regular file`);
  }

  write(text: string): void {
    if (this.pending.length + text.length > maxPendingChars) {
      this.hasDropped = true;
      return;
    }
    this.pending += text;
    this.writing ??= this.drain();
  }

  /** Resolves when everything given so far is in the file (or could not be written). */
  async flush(): Promise<void> {
    await this.writing;
  }

  async close(): Promise<void> {
    openFiles.delete(this);
    await this.flush();
    await this.handle.close();
  }

  private async drain(): Promise<void> {
    try {
      while (this.pending !== "") {
        const text = this.hasDropped ? `${this.pending}[lines are missing here]\n` : this.pending;
        this.pending = "";
        this.hasDropped = false;
        await this.handle.appendFile(text);
      }
    } catch (error) {
      this.pending = "";
      this.onError(error);
    } finally {
      this.writing = undefined;
    }
  }
}
