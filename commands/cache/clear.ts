// `cache clear`: removes every asset that nobody uses.
import { Command } from "commander";
import { clearAssets } from "../../src/cache/inventory.ts";
import { type ExitCode, exitCode } from "../../src/errors.ts";
import { type CacheOptions, withCacheFlags, withCacheParts } from "./open-cache.ts";
import { removedText } from "./prune.ts";

export function clearCommand(finish: (code: ExitCode) => void): Command {
  return withCacheFlags(new Command("clear"))
    .summary("remove all assets that no job uses")
    .description("Removes all assets and unfinished downloads but those in use. Synced tests stay.")
    .option("--json", "print JSON: {removed, kept}, lists of {path, sizeBytes, ...}", false)
    .action(async (options: CacheOptions) => {
      await withCacheParts(options, async (parts, context) => {
        const cleared = await clearAssets(parts, context);
        if (options.json) return console.log(JSON.stringify(cleared));
        console.log(removedText(cleared.removed));
        for (const { path } of cleared.kept) console.log(`Kept ${path}: it is in use`);
      });
      finish(exitCode.done);
    });
}
