// Takes over what a stock cache service has fetched into the directory: from then on it survives a damaged index.
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { readNotes, writeNotes } from "./asset-notes.ts";
import { type CacheFolder, partialPath } from "./cache-folder.ts";
import type { CacheParts } from "./cache-parts.ts";
import type { IndexRow } from "./index/thread-messages.ts";
import { fileFacts, judgeCopy } from "./known-copy.ts";
import { tryClaim } from "./locks/claims.ts";

/** Writes notes for every asset in the index that has none and is what its row says. One that cannot be looked at is left. */
export async function adoptAssets({ folder, index }: CacheParts, context: Context): Promise<void> {
  for (const row of await index.rows(context)) {
    context.signal.throwIfAborted();
    await adoptAsset(folder, row).catch((error) =>
      context.log.debug(`Not taking ${row.path} over: ${errorText(error)}`),
    );
  }
}

async function adoptAsset(folder: CacheFolder, row: IndexRow): Promise<void> {
  if ((await readNotes(folder, row.path)).length > 0) return;
  await using held = await tryClaim(folder, partialPath(folder, row.path));
  if (!held) return;
  const judgement = judgeCopy(await fileFacts(row.path), row, []);
  if (judgement.kind === "adopted") await writeNotes(folder, row.path, [judgement.version]);
}
