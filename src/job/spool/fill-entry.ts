// Brings files from a pool into an entry of the spool: by rename, or as a copy when the pool is on another file system.
// Nothing has a name in the entry before it is complete, so what an earlier try has brought is not brought again.
import type { Dirent, Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { stateFolder } from "../../isotovideo/pool-state.ts";
import { listInside, PoolFileError } from "../../results/pool-file.ts";
import { errorCode, lstatIfThere } from "./folder-content.ts";
import type { SpoolDisk } from "./spool-disk.ts";
import { sharedFiles, uploadedFolders } from "./spooled-names.ts";

/** What is uploaded lies in the pool's folders or one below them. */
const maxDepth = 8;
/** A copy that is not complete, in the entry's state folder. */
const unfinishedCopy = "unfinished-copy";

interface Filling {
  readonly disk: SpoolDisk;
  readonly poolDirectory: string;
  /** The entry's folder, with a state folder in it. */
  readonly entry: string;
}

/**
 * Moves files and folders by name; they are on disk afterwards, but for the entry's own name. Copied ones stay in the
 * pool as well. What nobody may read or move is left out and logged. Throws what the file system says otherwise.
 */
export async function fillEntry(filling: Filling, names: readonly string[], context: Context): Promise<void> {
  for (const name of names) {
    context.signal.throwIfAborted();
    await bring(filling, name, context).catch((error) => {
      if (!isOutOfReach(error)) throw error;
      context.log.error(`${name} cannot be kept for delivery: ${errorText(error)}`);
    });
  }
  await flush(filling, context);
}

async function bring(filling: Filling, name: string, context: Context): Promise<void> {
  const { disk, poolDirectory, entry } = filling;
  const [from, to] = [join(poolDirectory, name), join(entry, name)];
  if (await lstatIfThere(to)) return;
  const stats = await lstat(from);
  if (!isKept(stats)) {
    context.log.warn(`${name} is not kept for delivery: it is no file, folder or link`);
    return;
  }
  if (stats.isDirectory()) await disk.openToOwner(from).catch(() => {});
  if (!sharedFiles.includes(name) && (await isRenamed(disk, from, to))) return;
  const folder = join(entry, stateFolder);
  await disk.removeEntries(folder, [unfinishedCopy]);
  await copy(filling, name, join(folder, unfinishedCopy), context);
  await disk.rename(join(folder, unfinishedCopy), to);
}

/** False: they are on different file systems. */
async function isRenamed(disk: SpoolDisk, from: string, to: string): Promise<boolean> {
  try {
    await disk.rename(from, to);
    return true;
  } catch (error) {
    if (errorCode(error) === "EXDEV") return false;
    throw error;
  }
}

/** Links are copied as links. */
async function copy(filling: Filling, name: string, to: string, context: Context, depth = 0): Promise<void> {
  const { disk, poolDirectory } = filling;
  const from = join(poolDirectory, name);
  const stats = await lstat(from);
  if (stats.isSymbolicLink()) return await disk.copyLink(from, to);
  if (stats.isFile()) return await disk.copyFile(poolDirectory, name, to, context);
  await disk.makeFolder(to);
  for (const inner of await readdir(from, { withFileTypes: true })) {
    context.signal.throwIfAborted();
    const innerName = join(name, inner.name);
    if (!isKept(inner) || depth === maxDepth) {
      context.log.warn(`${innerName} is not kept for delivery: it is no file or link, or too deep a folder`);
      continue;
    }
    await copy(filling, innerName, join(to, inner.name), context, depth + 1).catch((error) => {
      if (!isOutOfReach(error)) throw error;
      context.log.error(`${innerName} cannot be kept for delivery: ${errorText(error)}`);
    });
  }
}

async function flush({ disk, entry }: Filling, { signal }: Context): Promise<void> {
  for (const folder of uploadedFolders) {
    const { files } = await listInside(entry, folder).catch((error) => {
      // A link or a file in its place: nothing is uploaded from there.
      if (error instanceof PoolFileError) return { files: undefined };
      throw error;
    });
    if (files === undefined) continue;
    for (const name of files) {
      signal.throwIfAborted();
      await disk.flushFile(entry, join(folder, name)).catch((error) => {
        if (!isOutOfReach(error)) throw error;
      });
    }
    if (await lstatIfThere(join(entry, folder))) await disk.flushFolder(join(entry, folder));
  }
}

function isKept(found: Stats | Dirent): boolean {
  return found.isFile() || found.isDirectory() || found.isSymbolicLink();
}

/** A matter of this one file, not of the disk. */
function isOutOfReach(error: unknown): boolean {
  const cause = error instanceof PoolFileError && error.cause !== undefined ? error.cause : error;
  return cause instanceof PoolFileError || ["EACCES", "EPERM", "ENOENT"].includes(errorCode(cause) ?? "");
}
