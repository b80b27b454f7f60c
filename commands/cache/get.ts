// `cache get`: fetches assets into the cache and prints where they are.
import { Command } from "commander";
import type { AssetCache, AssetRequest } from "../../src/cache/asset-cache.ts";
import { assetNameProblem, assetTypes } from "../../src/cache/asset-name.ts";
import { assetName } from "../../src/cache/download/download.ts";
import { cacheHostName } from "../../src/cache/host-name.ts";
import type { Settings } from "../../src/config/settings.ts";
import type { Context } from "../../src/context.ts";
import { type ExitCode, errorText, exitCode, UsageError } from "../../src/errors.ts";
import { type CacheOptions, withCache, withCacheFlags } from "./open-cache.ts";
import { showProgress } from "./progress.ts";

/** By hand nobody waits for a web UI that is away. */
const tries = 5;

export function getCommand(finish: (code: ExitCode) => void): Command {
  return withCacheFlags(new Command("get"))
    .summary("fetch assets and print their paths")
    .description(
      "Fetches assets into the cache, or finds them up to date there, and prints their paths, a line each.",
    )
    .argument("<asset...>", "TYPE/NAME as openQA names assets (iso/a.iso), or a URL")
    .option("--host <host>", "web UI host of TYPE/NAME (default: the first of HOST in workers.ini)")
    .option("--json", "print JSON: a list of {asset, path, outcome} or {asset, error}", false)
    .action(async (assets: readonly string[], options: CacheOptions) => {
      const results: Result[] = [];
      await withCache(options, async (cache, { settings, context }) => {
        const requests = assets.map((asset) => ({ asset, request: requestOf(asset, settings) }));
        for (const { asset, request } of requests)
          results.push({ asset, ...(await get(cache, request, options.json === true, context)) });
      });
      if (options.json) console.log(JSON.stringify(results));
      finish(results.every((result) => "path" in result) ? exitCode.done : exitCode.failed);
    });
}

type Result = { readonly asset: string } & Outcome;
type Outcome = { readonly path: string; readonly outcome: string } | { readonly error: string };
type Request = Omit<AssetRequest, "onProgress">;

async function get(cache: AssetCache, request: Request, isJson: boolean, context: Context): Promise<Outcome> {
  const progress = await showProgress(request.name);
  try {
    const { path, outcome, pin } = await cache.get({ ...request, onProgress: progress.show }, context);
    progress.end(`${request.name}: ${outcome === "fetched" ? "fetched" : "up to date"}`);
    await pin.release();
    if (!isJson) console.log(path);
    return { path, outcome };
  } catch (error) {
    progress.end();
    context.signal.throwIfAborted();
    console.error(`openqa-worker: ${errorText(error)}`);
    return { error: errorText(error) };
  }
}

/** Throws `UsageError` for what names no asset. */
function requestOf(asset: string, settings: Settings): Request {
  const url = URL.canParse(asset) ? new URL(asset) : assetUrl(asset, settings);
  const name = assetName(url);
  const problem = assetNameProblem(name);
  if (problem !== undefined) throw new UsageError(`${asset} names no file that can be cached: ${problem}`);
  const host = settings.hosts.find((one) => new URL(one.url).host === url.host);
  return {
    url,
    credentials: host?.credentials,
    host: cacheHostName(host?.name ?? url.href),
    name,
    holder: "cache get",
    tries,
  };
}

/** Where the web UI serves an asset that belongs to no job. */
function assetUrl(asset: string, { hosts, ignoredHosts }: Settings): URL {
  const [, type, name] = /^([^/]+)\/(.+)$/.exec(asset) ?? [];
  if (!assetTypes.some((known) => known === type) || name === undefined)
    throw new UsageError(`"${asset}" is no asset: expected TYPE/NAME such as iso/a.iso, or a URL`);
  const [host] = hosts;
  if (!host)
    throw new UsageError(
      `no web UI host to fetch from: ${ignoredHosts.map(({ reason }) => reason).join("; ")}`,
    );
  return new URL(`${host.url}/assets/${type}/${name.split("/").map(encodeURIComponent).join("/")}`);
}
