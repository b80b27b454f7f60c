// `cache stats`: figures of the cache.
import { Command } from "commander";
import { type CacheFigures, cacheFigures } from "../../src/cache/inventory.ts";
import { type ExitCode, exitCode } from "../../src/errors.ts";
import { byteText } from "../../src/ops/byte-text.ts";
import { type CacheOptions, withCacheFlags, withCacheParts } from "./open-cache.ts";

export function statsCommand(finish: (code: ExitCode) => void): Command {
  return withCacheFlags(new Command("stats"))
    .summary("show how full the cache is")
    .description("Shows how full the cache is and what is going on in it.")
    .option("--json", "print JSON: {directory, assets, usedBytes, limitBytes, freeBytes, ...}", false)
    .action(async (options: CacheOptions) => {
      await withCacheParts(options, async (parts, context) => {
        const figures = await cacheFigures(parts, context);
        console.log(options.json ? JSON.stringify(figures) : described(figures));
      });
      finish(exitCode.done);
    });
}

function described(figures: CacheFigures): string {
  const { limitBytes, freeBytes, totalBytes } = figures;
  const limit = limitBytes === undefined ? "no limit" : `limit ${byteText(limitBytes)}`;
  return [
    `Directory:            ${figures.directory}`,
    `Assets:               ${figures.assets}, ${byteText(figures.usedBytes)} (${limit})`,
    `Disk:                 ${byteText(freeBytes)} of ${byteText(totalBytes)} free`,
    `In use now:           ${figures.pinned}`,
    `Unfinished downloads: ${figures.unfinished}`,
    `Waiting downloads:    ${figures.waiting}`,
  ].join("\n");
}
