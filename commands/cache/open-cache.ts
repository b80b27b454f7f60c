// What the subcommands of `cache` share: their flags, and the cache that these name.
import type { Command } from "commander";
import { AssetCache } from "../../src/cache/asset-cache.ts";
import type { CacheParts } from "../../src/cache/cache-parts.ts";
import { findCacheService } from "../../src/cache/service/service-client.ts";
import { loadSettings } from "../../src/config/load-settings.ts";
import type { CacheSettings, Settings } from "../../src/config/settings.ts";
import type { Context } from "../../src/context.ts";
import { UsageError } from "../../src/errors.ts";
import { formatDaemonLine, fromLevel, Logger, type LogSink } from "../../src/ops/log.ts";
import { stdoutSink } from "../../src/slot/slot-log.ts";
import { currentProgram } from "../program.ts";

export interface CacheOptions {
  readonly directory?: string;
  readonly host?: string;
  readonly verbose: boolean;
  readonly json?: boolean;
  /** Its log goes to stdout, at LOG_LEVEL. */
  readonly isService?: boolean;
}

export interface CacheWorkplace {
  readonly settings: Settings;
  readonly cacheSettings: CacheSettings;
  readonly context: Context;
}

export function withCacheFlags(command: Command): Command {
  return command
    .option("--directory <path>", "cache directory, in place of CACHEDIRECTORY in workers.ini")
    .option("-v, --verbose", "say what is done", false);
}

/** INT and TERM abort the context's signal. Throws `UsageError` when no cache directory is named. */
export async function cacheWorkplace(options: CacheOptions): Promise<CacheWorkplace> {
  const flags = {
    cleanup: true,
    verbose: options.verbose,
    cacheDirectory: options.directory,
    host: options.host,
  };
  const settings = await loadSettings({ instance: 1, flags, program: currentProgram() });
  if (!settings.cache)
    throw new UsageError("no cache directory: set CACHEDIRECTORY in workers.ini, or give --directory");
  const sink = options.isService ? stdoutSink(settings.logLevel) : stderrSink(options.verbose);
  return { settings, cacheSettings: settings.cache, context: interruptible(new Logger([sink])) };
}

/** Works on the opened cache, and closes it. Throws `UsageError` while a stock cache service has the directory. */
export async function withCache(
  options: CacheOptions,
  work: (cache: AssetCache, place: CacheWorkplace) => Promise<void>,
): Promise<void> {
  const place = await cacheWorkplace(options);
  const { settings, cacheSettings, context } = place;
  if (options.directory === undefined) await assertNoStockService(cacheSettings.service.localUrl, context);
  await using cache = await AssetCache.open(cacheSettings, settings.own, context.log);
  await work(cache, place);
}

/** For work on the parts alone. */
export async function withCacheParts(
  options: CacheOptions,
  work: (parts: CacheParts, context: Context) => Promise<void>,
): Promise<void> {
  await withCache(options, (cache, { context }) => work(cache.parts, context));
}

/** It takes everything that it does not know for damage, and removes it. */
export async function assertNoStockService(url: string, context: Context): Promise<void> {
  if ((await findCacheService(url, context)) === "stock")
    throw new UsageError(
      `a stock cache service answers at ${url} and has the cache: stop it first (systemctl stop openqa-worker-cacheservice openqa-worker-cacheservice-minion)`,
    );
}

function interruptible(log: Logger): Context {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));
  return { signal: interrupted.signal, log };
}

function stderrSink(isVerbose: boolean): LogSink {
  const level = isVerbose ? "debug" : "warn";
  return fromLevel(level, (entry) => process.stderr.write(formatDaemonLine(entry, level)));
}
