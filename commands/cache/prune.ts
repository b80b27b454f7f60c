// `cache prune`: brings the cache within its limits now.
import { Command } from "commander";
import type { IndexRow } from "../../src/cache/index/cache-index.ts";
import { pruneAssets } from "../../src/cache/inventory.ts";
import { type ExitCode, exitCode } from "../../src/errors.ts";
import { byteText } from "../../src/ops/byte-text.ts";
import { type CacheOptions, withCacheFlags, withCacheParts } from "./open-cache.ts";

export function pruneCommand(finish: (code: ExitCode) => void): Command {
  return withCacheFlags(new Command("prune"))
    .summary("remove what is above the limits, least recently used first")
    .description(
      "Removes the least recently used assets until the cache is within CACHELIMIT and CACHE_MIN_FREE_PERCENTAGE, and files that the index does not know. What jobs use stays.",
    )
    .option("--json", "print JSON: a list of {path, sizeBytes, ...}", false)
    .action(async (options: CacheOptions) => {
      await withCacheParts(options, async (parts, context) => {
        const removed = await pruneAssets(parts, context);
        console.log(options.json ? JSON.stringify(removed) : removedText(removed));
      });
      finish(exitCode.done);
    });
}

/** A line per asset, and the sum. */
export function removedText(removed: readonly Pick<IndexRow, "path" | "sizeBytes">[]): string {
  const total = removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const lines = removed.map(({ path, sizeBytes }) => `Removed ${path} (${byteText(sizeBytes)})`);
  return [...lines, `${removed.length} removed, ${byteText(total)} gained`].join("\n");
}
