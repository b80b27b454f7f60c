// Whether the file of an asset is what index and notes say it is: only then it is served again. A job may have written
// to it through its hard link, the stock cache service may have put another one in its place.

import { stat } from "node:fs/promises";
import type { Context } from "../context.ts";
import { CacheError } from "../errors.ts";
import { type AssetVersion, readNotes, writeNotes } from "./asset-notes.ts";
import type { CacheFolder } from "./cache-folder.ts";
import { hashFile } from "./hash-file.ts";
import type { IndexRow } from "./index/cache-index.ts";

export type FileFacts = Pick<AssetVersion, "sizeBytes" | "mtimeNs">;

export type Judgement =
  | { readonly kind: "missing" }
  /** Its notes know it. */
  | { readonly kind: "trusted"; readonly version: AssetVersion }
  /** The stock cache service has fetched it. */
  | { readonly kind: "adopted"; readonly version: AssetVersion }
  /** Touched, but perhaps not changed: one of these by its content, or unusable. */
  | { readonly kind: "touched"; readonly candidates: readonly AssetVersion[] }
  | { readonly kind: "unusable"; readonly why: string };

/** What to think of a file by its size and time of change, its row in the index and its notes. */
export function judgeCopy(
  file: FileFacts | undefined,
  row: Pick<IndexRow, "etag" | "sizeBytes" | "isPending"> | undefined,
  versions: readonly AssetVersion[],
): Judgement {
  if (file === undefined) return { kind: "missing" };
  const sameSize = versions.filter(({ sizeBytes }) => sizeBytes === file.sizeBytes);
  const version = sameSize.find(({ mtimeNs }) => mtimeNs === file.mtimeNs);
  if (version) return { kind: "trusted", version };
  const isOfStockService = row && !row.isPending && !versions.some(({ etag }) => etag === row.etag);
  if (isOfStockService && row.sizeBytes === file.sizeBytes)
    return { kind: "adopted", version: { ...file, etag: row.etag, sha256: undefined } };
  const candidates = sameSize.filter(({ sha256 }) => sha256 !== undefined);
  if (candidates.length > 0) return { kind: "touched", candidates };
  if (versions.length > 0) return { kind: "unusable", why: "it has been changed since it was fetched" };
  if (row === undefined) return { kind: "unusable", why: "the index does not know it" };
  if (row.isPending) return { kind: "unusable", why: "its download has not come to its end" };
  return { kind: "unusable", why: `it has ${file.sizeBytes} bytes, the index says ${row.sizeBytes}` };
}

/**
 * The copy of an asset that may be served, if there is one. To be called under the claim on the asset.
 * Throws `CacheError` when something other than a file has its name.
 */
export async function findCopy(
  folder: CacheFolder,
  path: string,
  row: IndexRow | undefined,
  context: Context,
): Promise<AssetVersion | undefined> {
  const file = await fileFacts(path);
  const judgement = judgeCopy(file, row, await readNotes(folder, path));
  switch (judgement.kind) {
    case "missing":
      return undefined;
    case "trusted":
      return judgement.version;
    case "adopted":
      await writeNotes(folder, path, [judgement.version]);
      return judgement.version;
    case "touched": {
      context.log.info(`"${path}" has another time of change than when it was fetched: checking its content`);
      const sha256 = await hashFile(path, context);
      const same = judgement.candidates.find((version) => version.sha256 === sha256);
      if (!same || !file) return reject(path, "it has been changed since it was fetched", context);
      const version = { ...same, ...file };
      await writeNotes(folder, path, [version]);
      return version;
    }
    case "unusable":
      return reject(path, judgement.why, context);
  }
}

function reject(path: string, why: string, { log }: Context): undefined {
  log.warn(`"${path}" is fetched again: ${why}`);
}

/** Undefined: there is nothing. Throws `CacheError` for what is not a file. */
export async function fileFacts(path: string): Promise<FileFacts | undefined> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  if (stats === undefined) return undefined;
  if (!stats.isFile()) throw new CacheError(`"${path}" is not a file: no asset can have this name`);
  return { sizeBytes: Number(stats.size), mtimeNs: stats.mtimeNs };
}
