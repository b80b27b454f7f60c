// What an index must say of the assets of a directory, made out from their notes: whose size, time of change and
// content fit is kept, the others are fetched again when they are needed.

import { lstat } from "node:fs/promises";
import { resolve, sep } from "node:path";
import type { Context } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { type AssetNotes, type AssetVersion, allNotes } from "../asset-notes.ts";
import type { CacheFolder } from "../cache-folder.ts";
import { hashFile } from "../hash-file.ts";
import type { IndexRow } from "./thread-messages.ts";

export interface NotedRows {
  readonly rows: readonly IndexRow[];
  /** Notes whose file is missing or not what they say. */
  readonly leftOutCount: number;
}

/** SHA-256 of files that have not changed since, so that looking again takes no time. */
export type KnownHashes = Map<string, string>;

export async function rowsFromNotes(
  folder: CacheFolder,
  hashes: KnownHashes,
  context: Context,
): Promise<NotedRows> {
  const rows: IndexRow[] = [];
  let leftOutCount = 0;
  for await (const notes of allNotes(folder)) {
    const row = isInside(folder, notes.path) ? await rowOf(notes, hashes, context) : undefined;
    if (row) rows.push(row);
    else leftOutCount++;
  }
  return { rows, leftOutCount };
}

async function rowOf(
  { path, versions }: AssetNotes,
  hashes: KnownHashes,
  context: Context,
): Promise<IndexRow | undefined> {
  const file = await lstat(path, { bigint: true }).catch(() => undefined);
  if (!file?.isFile()) return undefined;
  const { size, mtimeNs } = file;
  const version = versions.find((each) => BigInt(each.sizeBytes) === size && each.mtimeNs === mtimeNs);
  if (!version || !(await hasContent(path, version, hashes, context))) return undefined;
  const { etag, sizeBytes } = version;
  return { path, etag, sizeBytes, lastUse: Math.floor(Number(file.atimeMs) / 1000), isPending: false };
}

async function hasContent(
  path: string,
  { sha256, sizeBytes, mtimeNs }: AssetVersion,
  hashes: KnownHashes,
  context: Context,
): Promise<boolean> {
  if (sha256 === undefined) return true;
  const key = `${sizeBytes} ${mtimeNs} ${path}`;
  try {
    const found = hashes.get(key) ?? (await hashFile(path, context));
    hashes.set(key, found);
    return found === sha256;
  } catch (error) {
    context.signal.throwIfAborted();
    context.log.warn(errorText(error));
    return false;
  }
}

function isInside({ directory }: CacheFolder, path: string): boolean {
  return path.startsWith(`${directory}${sep}`) && resolve(path) === path;
}
