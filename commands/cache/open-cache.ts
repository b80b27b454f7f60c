// What the subcommands of `cache` share: their flags, and the cache that these name.
import type { Command } from "commander";
import { AssetCache } from "../../src/cache/asset-cache.ts";
import { isCacheFolder } from "../../src/cache/cache-folder.ts";
import type { CacheParts } from "../../src/cache/cache-parts.ts";
import { findCacheService } from "../../src/cache/service/service-client.ts";
import { loadSettings } from "../../src/config/load-settings.ts";
import type { CacheSettings, Settings } from "../../src/config/settings.ts";
import type { Context } from "../../src/context.ts";
import { UsageError } from "../../src/errors.ts";
import { formatDaemonLine, fromLevel, Logger, type LogSink } from "../../src/ops/log.ts";
import { statIfThere } from "../../src/ops/stat-if-there.ts";
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

/**
 * INT and TERM abort the context's signal. Throws `UsageError` when no cache directory is named, when it is somebody
 * else's, and while a stock cache service has it.
 */
export async function cacheWorkplace(options: CacheOptions): Promise<CacheWorkplace> {
  const settings = await settingsOf(options, options.directory);
  if (!settings.cache)
    throw new UsageError("no cache directory: set CACHEDIRECTORY in workers.ini, or give --directory");
  const sink = options.isService ? stdoutSink(settings.logLevel) : stderrSink(options.verbose);
  const place = { settings, cacheSettings: settings.cache, context: interruptible(new Logger([sink])) };
  await assertOwner(place.cacheSettings.directory);
  if (await isConfigured(options, place.cacheSettings.directory)) await assertNoStockService(place);
  return place;
}

/** Works on the opened cache, and closes it. Throws as `cacheWorkplace`. */
export async function withCache(
  options: CacheOptions,
  work: (cache: AssetCache, place: CacheWorkplace) => Promise<void>,
): Promise<void> {
  const place = await cacheWorkplace(options);
  const { settings, cacheSettings, context } = place;
  await using cache = await AssetCache.open(cacheSettings, settings.own, context.log);
  await work(cache, place);
}

/** For work on the parts of a cache that there is already: a mistyped directory must not become one. */
export async function withCacheParts(
  options: CacheOptions,
  work: (parts: CacheParts, context: Context) => Promise<void>,
): Promise<void> {
  const place = await cacheWorkplace(options);
  const { settings, cacheSettings, context } = place;
  if (!(await isCacheFolder(cacheSettings.directory)))
    throw new UsageError(
      `${cacheSettings.directory} is no cache directory: nothing has been fetched into it`,
    );
  await using cache = await AssetCache.open(cacheSettings, settings.own, context.log);
  await work(cache.parts, context);
}

function settingsOf(options: CacheOptions, cacheDirectory: string | undefined): Promise<Settings> {
  const flags = { cleanup: true, verbose: options.verbose, cacheDirectory, host: options.host };
  return loadSettings({ instance: 1, flags, program: currentProgram() });
}

/** Whether workers use that directory, under whatever path. */
async function isConfigured(options: CacheOptions, directory: string): Promise<boolean> {
  if (options.directory === undefined) return true;
  const { cache } = await settingsOf(options, undefined);
  const [one, other] = await Promise.all([
    statIfThere(directory),
    statIfThere(cache?.directory ?? directory),
  ]);
  return cache !== undefined && one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

/** What root makes in it, the worker's user could not use. */
async function assertOwner(directory: string): Promise<void> {
  const owner = (await statIfThere(directory))?.uid ?? 0;
  if (process.geteuid?.() === 0 && owner !== 0)
    throw new UsageError(
      `${directory} belongs to another user, who could not use what root makes there: use sudo -u '#${owner}'`,
    );
}

/** It takes everything that it does not know for damage, and removes it. */
async function assertNoStockService({ cacheSettings, context }: CacheWorkplace): Promise<void> {
  const { url, localUrl } = cacheSettings.service;
  for (const each of new Set([localUrl, url ?? localUrl]))
    if ((await findCacheService(each, context)) === "stock")
      throw new UsageError(
        `a stock cache service answers at ${each} and has the cache: stop it first (systemctl stop openqa-worker-cacheservice openqa-worker-cacheservice-minion)`,
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
