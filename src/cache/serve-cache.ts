// This project's cache behind the stock cache service's HTTP interface, for stock workers of the same host. Any user of
// the host may ask: what is not configured in workers.ini is refused.
import { join, resolve } from "node:path";
import type { CacheSettings, Settings, WebUiHostSettings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { TestSyncError } from "../errors.ts";
import { sleep } from "../sleep.ts";
import type { AssetCache, CachedAsset } from "./asset-cache.ts";
import { jobAssetUrl } from "./asset-name.ts";
import { cacheHostName } from "./host-name.ts";
import {
  type CacheServer,
  type CacheServerOptions,
  type CacheWork,
  serveCache,
} from "./service/cache-server.ts";
import type { ServedAsset } from "./service/service-protocol.ts";
import { syncTests } from "./sync/sync-tests.ts";

export interface ServeCacheOptions {
  readonly listen: CacheServerOptions["listen"];
  readonly settings: Pick<Settings, "hosts" | "own">;
  readonly cacheSettings: CacheSettings;
  /** Of rsync. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Nobody aborts a request: some minutes of a web UI that is away, then the others have their turn. */
const tries = 7;
/** Stock workers look every few seconds, and link the asset then. */
const keptForClientMs = 60_000;
/** Rates of smaller downloads say nothing. */
const minRatedBytes = 250 * 1024 ** 2;

/** Until the server is closed. Throws `UsageError` when an address cannot be had. */
export async function serveOwnCache(
  cache: AssetCache,
  options: ServeCacheOptions,
  context: Context,
): Promise<CacheServer> {
  const { listen, settings, cacheSettings } = options;
  const hosts = new Map(settings.hosts.map((host) => [host.name, host]));
  return await serveCache(
    {
      listen,
      // Those of each host are limited where they are fetched.
      workers: cacheSettings.workers * Math.max(1, hosts.size),
      allowAsset: ({ host }) => (hosts.has(host) ? undefined : `${host} is not in HOST of workers.ini`),
      allowSync: (from, to) => whyNoSync(from, to, options),
      work: workOf(cache, hosts, options),
    },
    context,
  );
}

/** rsync could run any program by its options, and deletes at its target. Undefined: the pair is configured. */
export function whyNoSync(
  from: string,
  to: string,
  { settings, cacheSettings }: Pick<ServeCacheOptions, "settings" | "cacheSettings">,
): string | undefined {
  const isConfigured = settings.hosts.some(
    ({ name, testPoolServer }) =>
      testPoolServer === from && join(cacheSettings.testsDirectory, cacheHostName(name)) === resolve(to),
  );
  if (isConfigured) return undefined;
  return `no host in workers.ini has TESTPOOLSERVER = ${from} with tests in ${to}`;
}

function workOf(
  cache: AssetCache,
  hosts: ReadonlyMap<string, WebUiHostSettings>,
  { settings, cacheSettings, environment }: ServeCacheOptions,
): CacheWork {
  let downloadRateBytesPerS: number | undefined;
  return {
    async fetchAsset(asset, context) {
      const cached = await cache.get(requestOf(asset, hosts), context);
      if (cached.sizeBytes >= minRatedBytes) downloadRateBytesPerS = cached.sizeBytes / cached.seconds;
      void keepForClient(cached, context.signal);
    },
    async syncTests({ from, to }, context) {
      // Whether another round is worth it is for the clients to see.
      const sync = { ...cacheSettings.sync, rounds: 1 };
      const { lockRetryMs } = settings.own.cache;
      const options = { folder: cache.folder, settings: sync, lockRetryMs, environment };
      try {
        await syncTests({ source: from, hostDirectory: resolve(to) }, options, context);
        return 0;
      } catch (error) {
        if (error instanceof TestSyncError && error.rsyncExitCode !== undefined) return error.rsyncExitCode;
        throw error;
      }
    },
    metrics: () => Promise.resolve({ downloadRateBytesPerS }),
  };
}

function requestOf(asset: ServedAsset, hosts: ReadonlyMap<string, WebUiHostSettings>) {
  const { jobId, name, host } = asset;
  const known = hosts.get(host);
  if (!known) throw new Error(`Host ${host} has been allowed, but is not known`);
  return {
    url: jobAssetUrl(known.url, asset),
    credentials: known.credentials,
    host: cacheHostName(host),
    name,
    holder: `stock worker, job ${jobId}`,
    tries,
  };
}

async function keepForClient({ pin }: CachedAsset, signal: AbortSignal): Promise<void> {
  await sleep(keptForClientMs, signal).catch(() => {});
  await pin.release();
}
