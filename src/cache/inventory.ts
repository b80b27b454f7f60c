// What is in a cache, for people: listing, figures, verification by content, and removal of what nobody uses.

import { basename, dirname } from "node:path";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { type AssetVersion, readNotes, removeNotes, writeNotes } from "./asset-notes.ts";
import { partialPath } from "./cache-folder.ts";
import type { CacheParts } from "./cache-parts.ts";
import { hashFile } from "./hash-file.ts";
import type { IndexRow } from "./index/cache-index.ts";
import { fileFacts, type Judgement, judgeCopy } from "./known-copy.ts";
import { tryClaim } from "./locks/claims.ts";
import { waitingDownloads } from "./locks/permits.ts";
import { allPins, type Pin } from "./locks/pins.ts";
import { diskSpace, makeRoom, purge } from "./room.ts";
import { tidyStrays } from "./strays.ts";
import { partialFiles, type RemovedFile, removeOldUnfinished, removeUnfinished } from "./unfinished.ts";

export interface ListedAsset extends IndexRow {
  /** Name of its host's folder. */
  readonly host: string;
  readonly name: string;
  /** Who uses it now. */
  readonly pins: readonly Pin[];
}

/** Least recently used first. */
export async function listAssets(
  { folder, index }: CacheParts,
  context: Context,
): Promise<readonly ListedAsset[]> {
  const pins = await allPins(folder);
  return (await index.rows(context)).map((row) => ({
    ...row,
    host: basename(dirname(row.path)),
    name: basename(row.path),
    pins: pins.filter(({ path }) => path === row.path),
  }));
}

export interface CacheFigures {
  readonly directory: string;
  readonly assets: number;
  readonly usedBytes: number;
  /** Undefined: no limit. */
  readonly limitBytes: number | undefined;
  /** Of the disk. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Assets in use now. */
  readonly pinned: number;
  /** Downloads that are not complete, whether somebody goes on with them or not. */
  readonly unfinished: number;
  /** Downloads that wait for their turn. */
  readonly waiting: number;
}

export async function cacheFigures(parts: CacheParts, context: Context): Promise<CacheFigures> {
  const { folder, settings } = parts;
  const assets = await listAssets(parts, context);
  return {
    directory: folder.directory,
    assets: assets.length,
    usedBytes: assets.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
    limitBytes: settings.limitGib > 0 ? settings.limitGib * 1024 ** 3 : undefined,
    ...(await diskSpace(folder)),
    pinned: assets.filter(({ pins }) => pins.length > 0).length,
    unfinished: (await partialFiles(folder)).length,
    waiting: await waitingDownloads(folder),
  };
}

export interface VerifiedAsset {
  readonly path: string;
  readonly sizeBytes: number;
  /**
   * `first seen`: fetched by the stock cache service, its hash is known from now on. `busy`: being fetched now.
   * `changed`, `missing` and `unreadable` are what makes a verification fail.
   */
  readonly state: "intact" | "first seen" | "changed" | "missing" | "unreadable" | "busy";
}

/** Reads every asset and compares its content with what was fetched. A changed one is fetched again at its next use. */
export async function* verifyAssets(parts: CacheParts, context: Context): AsyncGenerator<VerifiedAsset> {
  for (const row of await parts.index.rows(context)) {
    const { path, sizeBytes } = row;
    await using held = await tryClaim(parts.folder, partialPath(parts.folder, path));
    yield { path, sizeBytes, state: held ? await verifyReadable(parts, row, context) : "busy" };
  }
}

/** A disk that fails at one asset is a reason to look at the others. */
async function verifyReadable(
  parts: CacheParts,
  row: IndexRow,
  context: Context,
): Promise<VerifiedAsset["state"]> {
  try {
    return await verify(parts, row, context);
  } catch (error) {
    context.signal.throwIfAborted();
    context.log.error(errorText(error));
    return "unreadable";
  }
}

async function verify(
  { folder, index }: CacheParts,
  row: IndexRow,
  context: Context,
): Promise<VerifiedAsset["state"]> {
  const { path } = row;
  const file = await fileFacts(path);
  const judgement = judgeCopy(file, row, await readNotes(folder, path));
  const known = judgement.kind === "touched" ? judgement.candidates : versionOf(judgement);
  const sha256 = file && known.length > 0 ? await hashFile(path, context) : undefined;
  const same = known.find((version) => version.sha256 === sha256);
  if (!file || (!same && known.every((version) => version.sha256 !== undefined))) {
    // Without row and notes nobody takes it for what it was.
    await index.remove(path, context);
    await removeNotes(folder, path);
    return file ? "changed" : "missing";
  }
  await writeNotes(folder, path, [{ ...file, etag: same?.etag ?? row.etag, sha256 }]);
  return same ? "intact" : "first seen";
}

function versionOf(judgement: Judgement): readonly AssetVersion[] {
  return "version" in judgement ? [judgement.version] : [];
}

/** Removes what the index does not know, brings the cache within its limits, and resolves with what had to go. */
export async function pruneAssets(parts: CacheParts, context: Context): Promise<readonly RemovedFile[]> {
  await removeOldUnfinished(parts.folder, context);
  return [...(await tidyStrays(parts, context)), ...(await makeRoom(parts, 0, undefined, context))];
}

export interface Cleared {
  readonly removed: readonly RemovedFile[];
  /** In use. */
  readonly kept: readonly RemovedFile[];
}

/** Removes all assets that nobody uses, and downloads that nobody goes on with. */
export async function clearAssets(parts: CacheParts, context: Context): Promise<Cleared> {
  const removed = [...(await tidyStrays(parts, context)), ...(await removeUnfinished(parts.folder))];
  const kept: RemovedFile[] = [];
  for (const row of await parts.index.rows(context))
    ((await purge(parts, row.path, context)) ? removed : kept).push(row);
  return { removed, kept };
}
