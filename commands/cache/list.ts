// `cache list`: the assets, with size, age and who uses them.
import { Command } from "commander";
import { type ListedAsset, listAssets } from "../../src/cache/inventory.ts";
import { type ExitCode, exitCode } from "../../src/errors.ts";
import { byteText } from "../../src/ops/byte-text.ts";
import { type CacheOptions, withCacheFlags, withCacheParts } from "./open-cache.ts";
import { ageText, table } from "./texts.ts";

export function listCommand(finish: (code: ExitCode) => void): Command {
  return withCacheFlags(new Command("list"))
    .summary("list the assets, least recently used first")
    .description("Lists the assets, least recently used first: what goes first when room is needed.")
    .option("--json", "print JSON: a list of {path, host, name, sizeBytes, lastUse, etag, pins}", false)
    .action(async (options: CacheOptions) => {
      await withCacheParts(options, async (parts, context) => {
        const assets = await listAssets(parts, context);
        console.log(options.json ? JSON.stringify(assets) : described(assets, Date.now() / 1000));
      });
      finish(exitCode.done);
    });
}

function described(assets: readonly ListedAsset[], now: number): string {
  if (assets.length === 0) return "The cache is empty.";
  const rows = assets.map(({ host, name, sizeBytes, lastUse, pins }) => [
    byteText(sizeBytes),
    ageText(now - lastUse),
    `${host}/${name}`,
    pins.map(({ holder, pid }) => `${holder} (process ${pid})`).join("; "),
  ]);
  return table(["SIZE", "LAST USE", "ASSET", "USED BY"], rows);
}
