// Where things are in a cache directory (protocol 6). Assets and index have the stock cache service's names; what is
// ours lies in a folder of its own, under names that the stock service does not touch (it looks for disk images in the
// directory and one level below).
import { createHash } from "node:crypto";
import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { CacheError, errorText } from "../errors.ts";
import { statIfThere } from "../ops/stat-if-there.ts";

/** What identifies an asset within a directory. */
export interface AssetKey {
  /** Name of the host's folder: HOST without scheme and port. */
  readonly host: string;
  /** Base name of the file. */
  readonly name: string;
}

export interface CacheFolder {
  /** Symbolic links resolved, as in the index. */
  readonly directory: string;
  readonly indexFile: string;
  /** Index files that were damaged, set aside. */
  readonly damagedFolder: string;
  /** Downloads that are not complete. */
  readonly partialFolder: string;
  /** What is known of the assets, to make the index again from. */
  readonly notesFolder: string;
  readonly pinsFolder: string;
  /** Its bytes are locked: one for each asset that is being fetched or purged, and each folder that is being synced. */
  readonly claimsFile: string;
  /** Begins the names of a file for each host. Its bytes are locked: one for each download under way. */
  readonly permitsFile: string;
  /** Its bytes are locked: one for each download that waits for a permit. */
  readonly waitingFile: string;
}

/** In the folder of a host, beside its assets. */
export const testsFolderName = "tests";

const indexName = "cache.sqlite";
const ownFolderName = ".openqa-worker";

/** Makes what is missing of it. Throws `CacheError` when the directory cannot be used. */
export async function openCacheFolder(path: string): Promise<CacheFolder> {
  try {
    await mkdir(path, { recursive: true });
    const directory = await realpath(path);
    const own = join(directory, ownFolderName);
    const folder: CacheFolder = {
      directory,
      indexFile: join(directory, indexName),
      damagedFolder: join(own, "damaged"),
      partialFolder: join(own, "partial"),
      notesFolder: join(own, "assets"),
      pinsFolder: join(own, "pins"),
      claimsFile: join(own, "claims"),
      permitsFile: join(own, "permits"),
      waitingFile: join(own, "waiting"),
    };
    for (const needed of [folder.damagedFolder, folder.partialFolder, folder.notesFolder, folder.pinsFolder])
      await mkdir(needed, { recursive: true, mode: 0o755 });
    return folder;
  } catch (error) {
    const advice = "CACHEDIRECTORY has to be a folder that the worker's user can write to";
    throw new CacheError(`Cannot use the cache directory ${path}: ${errorText(error)} (${advice})`, {
      cause: error,
    });
  }
}

/** Whether a folder has been used as one, by whomever. */
export async function isCacheFolder(path: string): Promise<boolean> {
  const found = [ownFolderName, indexName].map((name) => statIfThere(join(path, name)));
  return (await Promise.all(found)).some((stats) => stats !== undefined);
}

/** Absolute path of an asset, its key in the index. */
export function assetPath({ directory }: CacheFolder, { host, name }: AssetKey): string {
  return join(directory, host, name);
}

/** Where an asset is while it is not complete; the claim on it is the right to fetch or purge that asset. */
export function partialPath({ partialFolder }: CacheFolder, asset: string): string {
  return join(partialFolder, hashOf(asset));
}

/** A name of bounded length for what belongs to a path: files of ours, bytes of lock files. */
export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
