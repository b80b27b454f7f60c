// Files in the hosts' folders that the index does not know: left by a worker that was killed, or by a stock cache service
// whose index was lost. The stock service removes them too, as far as they are disk images.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { readNotes, removeNotes } from "./asset-notes.ts";
import { type CacheFolder, partialPath } from "./cache-folder.ts";
import type { CacheParts } from "./cache-parts.ts";
import { fileFacts, judgeCopy } from "./known-copy.ts";
import { tryClaim } from "./locks/claims.ts";
import { pinsOf } from "./locks/pins.ts";
import type { RemovedFile } from "./unfinished.ts";

const diskImage = /\.(img|qcow2|iso|vhdx?)$/;

/** Takes those back into the index that their notes vouch for, and removes the others. */
export async function tidyStrays(parts: CacheParts, context: Context): Promise<readonly RemovedFile[]> {
  const { folder, index } = parts;
  const removed: RemovedFile[] = [];
  const known = new Set((await index.rows(context)).map(({ path }) => path));
  for await (const path of filesOfHosts(folder)) {
    context.signal.throwIfAborted();
    if (known.has(path)) continue;
    await using held = await tryClaim(folder, partialPath(folder, path));
    const isInUse = !held || (await pinsOf(folder, path)).length > 0 || (await index.row(path, context));
    const gone = isInUse ? undefined : await tidy(parts, path, context);
    if (gone) removed.push(gone);
  }
  return removed;
}

async function tidy(
  { folder, index }: CacheParts,
  path: string,
  context: Context,
): Promise<RemovedFile | undefined> {
  const file = await fileFacts(path);
  const versions = await readNotes(folder, path);
  const judgement = judgeCopy(file, undefined, versions);
  if (judgement.kind === "trusted") await index.store({ path, ...judgement.version }, context);
  // What is no disk image and not ours may be anybody's.
  const isOurs = versions.length > 0 || diskImage.test(path);
  if (!file || judgement.kind === "trusted" || !isOurs) return undefined;
  try {
    await rm(path, { force: true });
  } catch (error) {
    context.log.warn(`Cannot remove "${path}", which the index does not know: ${errorText(error)}`);
    return undefined;
  }
  context.log.info(`Removed "${path}": the index does not know it`);
  await removeNotes(folder, path);
  return { path, sizeBytes: file.sizeBytes };
}

/** Regular files one level below the directory. */
async function* filesOfHosts({ directory }: CacheFolder): AsyncGenerator<string> {
  for (const host of await readdir(directory, { withFileTypes: true })) {
    if (!host.isDirectory() || host.name.startsWith(".") || host.name === "tmp") continue;
    const entries = await readdir(join(directory, host.name), { withFileTypes: true });
    for (const entry of entries) if (entry.isFile()) yield join(directory, host.name, entry.name);
  }
}
