// Downloads that are not complete: they take room, or will take it, and the next one goes on where they are.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "../context.ts";
import { byteText } from "../ops/byte-text.ts";
import { statIfThere } from "../ops/stat-if-there.ts";
import type { CacheFolder } from "./cache-folder.ts";
import { readPartial, removePartial } from "./download/partial-file.ts";
import { tryClaim } from "./locks/claims.ts";

export interface UnfinishedDownload {
  /** What it will have. */
  readonly totalBytes: number;
  /** What of it is on disk. */
  readonly sizeBytes: number;
}

export interface RemovedFile {
  readonly path: string;
  readonly sizeBytes: number;
}

/** All but one of them. Of those that nobody goes on with only what there is counts. */
export async function unfinishedDownloads(
  folder: CacheFolder,
  except: string | undefined,
): Promise<readonly UnfinishedDownload[]> {
  const found: UnfinishedDownload[] = [];
  for (const path of await partialFiles(folder)) {
    if (path === except) continue;
    const sizeBytes = (await statIfThere(path))?.size ?? 0;
    await using abandoned = await tryClaim(folder, path);
    const totalBytes = abandoned ? undefined : (await readPartial(path))?.totalBytes;
    found.push({ totalBytes: totalBytes ?? sizeBytes, sizeBytes });
  }
  return found;
}

/** Removes those that nobody goes on with now, but one of them. */
export async function removeUnfinished(
  folder: CacheFolder,
  except?: string,
): Promise<readonly RemovedFile[]> {
  const removed: RemovedFile[] = [];
  for (const path of await partialFiles(folder)) {
    await using abandoned = path === except ? undefined : await tryClaim(folder, path);
    if (!abandoned) continue;
    removed.push({ path, sizeBytes: (await statIfThere(path))?.size ?? 0 });
    await removePartial(path);
  }
  return removed;
}

/** Removes those that nobody has gone on with for a day. */
export async function removeOldUnfinished(folder: CacheFolder, { log }: Context): Promise<void> {
  for (const path of await partialFiles(folder)) {
    const { size = 0, mtimeMs = 0 } = (await statIfThere(path)) ?? {};
    if (Date.now() - mtimeMs < maxAgeMs) continue;
    await using abandoned = await tryClaim(folder, path);
    if (!abandoned) continue;
    log.info(`Removing a download that nobody has gone on with for a day: ${path}, ${byteText(size)}`);
    await removePartial(path);
  }
}

/** Unfinished downloads are kept that long for somebody to go on with. */
const maxAgeMs = 24 * 3600 * 1000;

/** Also of those of which there is nothing yet but what they will have. */
export async function partialFiles({ partialFolder }: CacheFolder): Promise<readonly string[]> {
  const names = (await readdir(partialFolder)).map((name) => name.replace(/\.json$/, ""));
  return [...new Set(names)].filter((name) => !name.includes(".")).map((name) => join(partialFolder, name));
}
