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

/** They are kept that long for somebody to go on with. */
const maxAgeMs = 24 * 3600 * 1000;

/** All but one of them. Those that nobody has gone on with for a day are removed. */
export async function unfinishedDownloads(
  folder: CacheFolder,
  except: string | undefined,
  { log }: Context,
): Promise<readonly UnfinishedDownload[]> {
  const found: UnfinishedDownload[] = [];
  for (const path of await partialFiles(folder)) {
    if (path === except) continue;
    const { size: sizeBytes = 0, mtimeMs = 0 } = (await statIfThere(path)) ?? {};
    await using abandoned = await tryClaim(folder, path);
    if (!abandoned || Date.now() - mtimeMs < maxAgeMs)
      found.push({ totalBytes: (await readPartial(path))?.totalBytes ?? sizeBytes, sizeBytes });
    else {
      log.info(`Removing a download that nobody has gone on with for a day: ${path}, ${byteText(sizeBytes)}`);
      await removePartial(path);
    }
  }
  return found;
}

/** Removes those that nobody goes on with now. */
export async function removeUnfinished(folder: CacheFolder): Promise<readonly RemovedFile[]> {
  const removed: RemovedFile[] = [];
  for (const path of await partialFiles(folder)) {
    await using abandoned = await tryClaim(folder, path);
    if (!abandoned) continue;
    removed.push({ path, sizeBytes: (await statIfThere(path))?.size ?? 0 });
    await removePartial(path);
  }
  return removed;
}

/** Also of those of which there is nothing yet but what they will have. */
export async function partialFiles({ partialFolder }: CacheFolder): Promise<readonly string[]> {
  const names = (await readdir(partialFolder)).map((name) => name.replace(/\.json$/, ""));
  return [...new Set(names)].filter((name) => !name.includes(".")).map((name) => join(partialFolder, name));
}
