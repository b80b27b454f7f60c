// Room for assets within CACHELIMIT and CACHE_MIN_FREE_PERCENTAGE: the least recently used go first, never one that
// somebody uses, fetches or is about to use (field lesson 16).
import { rm, statfs } from "node:fs/promises";
import type { CacheSettings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { CacheError } from "../errors.ts";
import { byteText } from "../ops/byte-text.ts";
import { removeNotes } from "./asset-notes.ts";
import { type CacheFolder, partialPath } from "./cache-folder.ts";
import { readPartial, writePartial } from "./download/partial-file.ts";
import type { CacheIndex, IndexRow } from "./index/cache-index.ts";
import { claim, tryClaim } from "./locks/claims.ts";
import { pinsOf } from "./locks/pins.ts";
import { unfinishedDownloads } from "./unfinished.ts";

export interface CacheParts {
  readonly folder: CacheFolder;
  readonly index: CacheIndex;
  readonly settings: Pick<CacheSettings, "limitGib" | "minFreePercentage">;
  readonly lockRetryMs: number;
}

export interface DiskSpace {
  /** What the worker's user may still write. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export async function diskSpace({ directory }: CacheFolder): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

/** How much too much there would be after `neededBytes` more: 0, nothing has to go. Pure. */
export function excessBytes(
  neededBytes: number,
  usedBytes: number,
  { freeBytes, totalBytes }: DiskSpace,
  { limitGib, minFreePercentage }: CacheParts["settings"],
): number {
  const overLimit = limitGib > 0 ? usedBytes + neededBytes - limitGib * 1024 ** 3 : 0;
  const toStayFree = (totalBytes * (minFreePercentage ?? 0)) / 100;
  return Math.max(0, overLimit, neededBytes + toStayFree - freeBytes);
}

/**
 * Purges until `neededBytes` more fit, and resolves with what was purged. The limits give way when only assets in use
 * are left, the disk does not: then it throws a `CacheError`, before anything is purged if that could not be enough.
 * `partial` is the file that needs the room.
 */
export async function makeRoom(
  parts: CacheParts,
  neededBytes: number,
  partial: string | undefined,
  context: Context,
): Promise<readonly IndexRow[]> {
  const { folder, settings, lockRetryMs } = parts;
  // One at a time over all processes: what one has found free is not found free by another as well.
  await using _ = await claim(folder, folder.directory, { retryMs: lockRetryMs }, context);
  const rows = await parts.index.rows(context);
  const downloads = await unfinishedDownloads(folder, partial, context);
  const sizes = rows.map(({ sizeBytes }) => sizeBytes);
  const used = sum([...sizes, ...downloads.map(({ totalBytes }) => totalBytes)]);
  const promised = sum(downloads.map(({ totalBytes, sizeBytes }) => Math.max(0, totalBytes - sizeBytes)));
  const space = await diskSpace(folder);
  const free = space.freeBytes - promised;
  if (free + sum(sizes) < neededBytes)
    throw noSpace(folder, neededBytes, free, "even without all assets there would be too little");
  const excess = excessBytes(neededBytes, used, { ...space, freeBytes: free }, settings);
  const purged = excess > 0 ? await purgeLeastUsed(parts, rows, excess, context) : [];
  const gained = (await diskSpace(folder)).freeBytes - promised;
  if (gained < neededBytes)
    throw noSpace(folder, neededBytes, gained, "nothing more to purge that no job uses");
  // From here on others count on it.
  if (partial !== undefined && !(await readPartial(partial)))
    await writePartial(partial, { etag: undefined, totalBytes: neededBytes });
  return purged;
}

function noSpace(
  { directory }: CacheFolder,
  neededBytes: number,
  freeBytes: number,
  why: string,
): CacheError {
  const figures = `${byteText(neededBytes)} needed, ${byteText(Math.max(0, freeBytes))} free`;
  return new CacheError(`No space left on the disk of ${directory}: ${figures}, and ${why}`);
}

/** Purges what nobody uses, least recently used first, until so many bytes are gained. */
async function purgeLeastUsed(
  parts: CacheParts,
  rows: readonly IndexRow[],
  excess: number,
  context: Context,
): Promise<readonly IndexRow[]> {
  const purged: IndexRow[] = [];
  let remaining = excess;
  for (const row of rows) {
    if (remaining <= 0) break;
    context.signal.throwIfAborted();
    if (!(await purge(parts, row.path, context))) continue;
    purged.push(row);
    remaining -= row.sizeBytes;
    context.log.info(`Purged "${row.path}" to make room: ${byteText(row.sizeBytes)}`);
  }
  if (remaining > 0)
    context.log.warn(`The cache stays ${byteText(remaining)} above its limits: the rest is in use`);
  return purged;
}

/** Removes an asset; false when somebody uses or fetches it. */
export async function purge({ folder, index }: CacheParts, path: string, context: Context): Promise<boolean> {
  await using held = await tryClaim(folder, partialPath(folder, path));
  if (!held || (await pinsOf(folder, path)).length > 0) return false;
  // The row goes first: one without a file is harmless, a file that was left over is found by prune.
  await index.remove(path, context);
  await rm(path, { force: true });
  await removeNotes(folder, path);
  return true;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
