// Room for assets within CACHELIMIT and CACHE_MIN_FREE_PERCENTAGE: the least recently used go first, never one that
// somebody uses, fetches or is about to use (field lesson 16).
import { rm, statfs } from "node:fs/promises";
import type { Context } from "../context.ts";
import { CacheError, errorText } from "../errors.ts";
import { byteText } from "../ops/byte-text.ts";
import { removeNotes } from "./asset-notes.ts";
import { type CacheFolder, partialPath } from "./cache-folder.ts";
import type { CacheParts } from "./cache-parts.ts";
import { readPartial, writePartial } from "./download/partial-file.ts";
import { claim, tryClaim } from "./locks/claims.ts";
import { pinsOf } from "./locks/pins.ts";
import { tidyStrays } from "./strays.ts";
import { type RemovedFile, removeUnfinished, unfinishedDownloads } from "./unfinished.ts";

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
 * Removes until `neededBytes` more fit, and resolves with what was removed: what the index does not know, then downloads
 * that nobody goes on with, then assets. The limits give way when only assets in use are left, the disk does not: then
 * it throws a `CacheError`, before an asset is purged if that could not be enough. `partial`: the file that needs room.
 */
export async function makeRoom(
  parts: CacheParts,
  neededBytes: number,
  partial: string | undefined,
  context: Context,
): Promise<readonly RemovedFile[]> {
  const { folder, lockRetryMs } = parts;
  // One at a time over all processes: what one has found free is not found free by another as well.
  await using _ = await claim(folder, folder.directory, { retryMs: lockRetryMs }, context);
  const removed: RemovedFile[] = [];
  let shortage = await findShortage(parts, neededBytes, partial, context);
  if (shortage.excessBytes > 0) {
    removed.push(...(await tidyStrays(parts, context)), ...(await removeUnfinished(folder, partial)));
    shortage = await findShortage(parts, neededBytes, partial, context);
  }
  if (shortage.freeBytes + shortage.assetBytes < neededBytes)
    throw noSpace(folder, neededBytes, shortage, "even without all assets there would be too little");
  for (const row of await parts.index.rows(context)) {
    if (shortage.excessBytes === 0) break;
    context.signal.throwIfAborted();
    if (!(await purge(parts, row.path, context))) continue;
    context.log.info(`Purged "${row.path}" to make room: ${byteText(row.sizeBytes)}`);
    removed.push(row);
    // Looked at anew: what a job has linked gives nothing back to the disk.
    shortage = await findShortage(parts, neededBytes, partial, context);
  }
  if (shortage.freeBytes < neededBytes)
    throw noSpace(folder, neededBytes, shortage, "nothing more to purge that no job uses");
  // A check of the disk comes with every status.
  if (shortage.excessBytes > 0 && (partial !== undefined || neededBytes === 0))
    context.log.warn(
      `The cache stays ${byteText(shortage.excessBytes)} above its limits: the rest is in use`,
    );
  // From here on others count on it.
  if (partial !== undefined && !(await readPartial(partial)))
    await writePartial(partial, { etag: undefined, totalBytes: neededBytes });
  return removed;
}

interface Shortage {
  /** What has to go. */
  readonly excessBytes: number;
  /** Of the disk, without what is promised to downloads under way. */
  readonly freeBytes: number;
  readonly assetBytes: number;
}

async function findShortage(
  { folder, index, settings }: CacheParts,
  neededBytes: number,
  partial: string | undefined,
  context: Context,
): Promise<Shortage> {
  const downloads = await unfinishedDownloads(folder, partial);
  const assetBytes = sum((await index.rows(context)).map(({ sizeBytes }) => sizeBytes));
  const usedBytes = assetBytes + sum(downloads.map(({ totalBytes }) => totalBytes));
  const promised = sum(downloads.map(({ totalBytes, sizeBytes }) => Math.max(0, totalBytes - sizeBytes)));
  const space = await diskSpace(folder);
  const freeBytes = space.freeBytes - promised;
  const excess = excessBytes(neededBytes, usedBytes, { ...space, freeBytes }, settings);
  return { excessBytes: excess, freeBytes, assetBytes };
}

function noSpace(
  { directory }: CacheFolder,
  neededBytes: number,
  { freeBytes }: Shortage,
  why: string,
): CacheError {
  const figures = `${byteText(neededBytes)} needed, ${byteText(Math.max(0, freeBytes))} free`;
  return new CacheError(`No space left on the disk of ${directory}: ${figures}, and ${why}`);
}

/** Removes an asset; false when somebody uses or fetches it, or it cannot be removed. */
export async function purge({ folder, index }: CacheParts, path: string, context: Context): Promise<boolean> {
  await using held = await tryClaim(folder, partialPath(folder, path));
  if (!held || (await pinsOf(folder, path)).length > 0) return false;
  try {
    await rm(path, { force: true });
  } catch (error) {
    context.log.warn(`Cannot purge "${path}": ${errorText(error)}`);
    return false;
  }
  // The row goes last: one without a file is harmless.
  await index.remove(path, context);
  await removeNotes(folder, path);
  return true;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
