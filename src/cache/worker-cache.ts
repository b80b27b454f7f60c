// What a slot and its jobs see of caching: one interface, whether the directory is this worker's own or a cache service
// has it (protocol 6). A directory has one kind of owner at a time: a stock cache service that runs is used, never joined.
import { join } from "node:path";
import type { CacheSettings, Credentials, OwnSettings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import type { AssetCaches } from "./asset-caches.ts";
import { cacheHostName } from "./host-name.ts";
import { OwnWorkerCache } from "./own-worker-cache.ts";
import { ServedWorkerCache } from "./served-worker-cache.ts";
import { CacheService, findCacheService } from "./service/service-client.ts";

export interface WantedAsset {
  readonly jobId: string;
  readonly type: string;
  /** Base name. */
  readonly name: string;
}

/** Whom assets and tests are for. */
export interface CacheUser {
  /** Entry of HOST. */
  readonly host: string;
  /** Base URL of the web UI. */
  readonly url: string;
  readonly credentials: Credentials | undefined;
  /** For people: "slot 3, job 42". */
  readonly holder: string;
  /** Environment of programs that are started, with the mark by which they are found. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface WorkerCache {
  /** Why no job can be taken, for the status message (protocol 3.3 no. 1). */
  findProblem(context: Context): Promise<string | undefined>;
  /**
   * Absolute path of the asset, kept until `user` has released it. Throws `AssetRefusedError` when the web UI refuses
   * it, `CacheError` otherwise.
   */
  fetchAsset(
    asset: WantedAsset,
    user: CacheUser,
    held: AsyncDisposableStack,
    context: Context,
  ): Promise<string>;
  /** Syncs from TESTPOOLSERVER; resolves with the folder of the test distributions. Throws `CacheError`. */
  syncTests(source: string, user: CacheUser, context: Context): Promise<string>;
}

/** Absolute path of an asset in the directory as configured. */
export function cachedPath(
  { directory }: Pick<CacheSettings, "directory">,
  { host }: CacheUser,
  name: string,
): string {
  return join(directory, cacheHostName(host), name);
}

/** The stock worker's text, for reasons. */
export function failedDownload(
  settings: Pick<CacheSettings, "directory">,
  user: CacheUser,
  name: string,
): string {
  return `Failed to download ${name} to ${cachedPath(settings, user, name)}`;
}

export interface WorkerCacheOptions {
  readonly settings: CacheSettings;
  readonly own: Pick<OwnSettings, "cache" | "timeouts">;
  readonly caches: AssetCaches;
}

/** CACHESERVICEURL, else a stock service that answers on this host, else the directory itself. */
export async function chooseWorkerCache(options: WorkerCacheOptions, context: Context): Promise<WorkerCache> {
  const { settings, own, caches } = options;
  const { url, localUrl } = settings.service;
  if (url !== undefined) return new ServedWorkerCache(new CacheService(url, settings), settings);
  if ((await findCacheService(localUrl, context)) === "stock") {
    caches.noteService(localUrl, settings.directory, context.log);
    return new ServedWorkerCache(new CacheService(localUrl, settings), settings);
  }
  return new OwnWorkerCache(settings, own, await caches.of(settings, own, context.log));
}
