// Takes over what a stock cache service has fetched into the directory: from then on it survives a damaged index.
import type { Context } from "../context.ts";
import { readNotes, writeNotes } from "./asset-notes.ts";
import { partialPath } from "./cache-folder.ts";
import type { CacheParts } from "./cache-parts.ts";
import { fileFacts, judgeCopy } from "./known-copy.ts";
import { tryClaim } from "./locks/claims.ts";

/** Writes notes for every asset in the index that has none and is what its row says. */
export async function adoptAssets({ folder, index }: CacheParts, context: Context): Promise<void> {
  for (const row of await index.rows(context)) {
    context.signal.throwIfAborted();
    if ((await readNotes(folder, row.path)).length > 0) continue;
    await using held = await tryClaim(folder, partialPath(folder, row.path));
    if (!held) continue;
    const judgement = judgeCopy(await fileFacts(row.path), row, []);
    if (judgement.kind === "adopted") await writeNotes(folder, row.path, [judgement.version]);
  }
}
