// `cache verify`: compares the content of every asset with what was fetched.
import { Command } from "commander";
import { type VerifiedAsset, verifyAssets } from "../../src/cache/inventory.ts";
import { type ExitCode, exitCode } from "../../src/errors.ts";
import { byteText } from "../../src/ops/byte-text.ts";
import { type CacheOptions, withCacheFlags, withCacheParts } from "./open-cache.ts";

const notes: Readonly<Record<VerifiedAsset["state"], string>> = {
  intact: "",
  "first seen": " (fetched by a stock cache service: its hash is known from now on)",
  changed: " (not what was fetched: it will be fetched again when a job needs it)",
  missing: " (its file is gone: it will be fetched again when a job needs it)",
  unreadable: " (its file cannot be read: look at the disk)",
  busy: " (being fetched now)",
};

const isBad: ReadonlySet<VerifiedAsset["state"]> = new Set(["changed", "missing", "unreadable"]);

export function verifyCommand(finish: (code: ExitCode) => void): Command {
  return withCacheFlags(new Command("verify"))
    .summary("compare the content of all assets with what was fetched")
    .description(
      "Reads every asset and compares its SHA-256 with that of what was fetched. Exit code 1 when one is changed or missing.",
    )
    .option("--json", "print JSON: a list of {path, sizeBytes, state}", false)
    .action(async (options: CacheOptions) => {
      const verified: VerifiedAsset[] = [];
      await withCacheParts(options, async (parts, context) => {
        for await (const asset of verifyAssets(parts, context)) {
          verified.push(asset);
          if (!options.json)
            console.log(`${asset.state}: ${asset.path}, ${byteText(asset.sizeBytes)}${notes[asset.state]}`);
        }
      });
      const bad = verified.filter(({ state }) => isBad.has(state));
      if (options.json) console.log(JSON.stringify(verified));
      else console.log(`${verified.length} verified, ${bad.length} not as fetched`);
      finish(bad.length > 0 ? exitCode.failed : exitCode.done);
    });
}
