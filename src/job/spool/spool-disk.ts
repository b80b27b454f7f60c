// Each change that the spool makes on disk, one call for one step: tests put another disk in its place, on which renames
// fail or which is gone after any step. What is to be done in which order is written elsewhere.
import { constants, createWriteStream } from "node:fs";
import { chmod, mkdir, open, readlink, rename, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Context } from "../../context.ts";
import { removeEntries } from "../../ops/remove-entries.ts";
import { openInside } from "../../results/pool-file.ts";
import { commitJobState, draftJobState, removeJobState, writeJobState } from "../state-file.ts";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

const copiedPieceBytes = 1024 * 1024;

export const spoolDisk = {
  rename,
  removeEntries,
  writeJobState,
  draftJobState,
  commitJobState,
  removeJobState,

  /** With those above it, for their owner only. One that is there already stays. */
  async makeFolder(path: string): Promise<void> {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },

  /** A folder can be moved to another one only by who may write to it. */
  async openToOwner(folder: string): Promise<void> {
    await chmod(folder, 0o700);
  },

  /** Copies a regular file below a directory, with its mode. Throws `PoolFileError` for all else. */
  async copyFile(directory: string, name: string, to: string, { signal }: Context): Promise<void> {
    await using file = await openInside(directory, name);
    if (!file) return;
    const { mode } = await file.handle.stat();
    const source = file.handle.createReadStream({ autoClose: false, highWaterMark: copiedPieceBytes });
    await pipeline(source, createWriteStream(to, { flags: "wx", mode: 0o600 }), { signal });
    await chmod(to, mode & 0o777);
  },

  /** The link itself, wherever it leads. */
  async copyLink(from: string, to: string): Promise<void> {
    await symlink(await readlink(from), to);
  },

  /** A text for whoever looks at the folder. */
  async writeNote(path: string, text: string, timeMs: number): Promise<void> {
    await writeFile(path, text, { mode: 0o600 });
    await utimes(path, timeMs / 1000, timeMs / 1000);
  },

  /** Afterwards a power cut leaves the file's content as it is. */
  async flushFile(directory: string, name: string): Promise<void> {
    await using file = await openInside(directory, name);
    await file?.handle.sync();
  },

  /** Afterwards a power cut leaves the folder's names as they are. */
  async flushFolder(path: string): Promise<void> {
    await using folder = await open(join(path, "."), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    await folder.sync();
  },
};

export type SpoolDisk = typeof spoolDisk;
