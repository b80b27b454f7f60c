// Whether the cache directory is used by this worker itself or through a cache service. A directory has one kind of owner
// at a time: a stock cache service that runs is used, never joined.
import type { CacheSettings, OwnSettings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { CacheService, findCacheService } from "../service/service-client.ts";
import type { AssetCaches } from "./asset-caches.ts";
import { OwnWorkerCache } from "./own-worker-cache.ts";
import { ServedWorkerCache } from "./served-worker-cache.ts";
import type { WorkerCache } from "./worker-cache.ts";

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
