// The asset caches of a process: slots that use one directory share its index.
import type { CacheSettings } from "../../config/settings.ts";
import type { Logger } from "../../ops/log.ts";
import { AssetCache, type CacheTiming } from "../asset-cache.ts";

export class AssetCaches implements AsyncDisposable {
  /** By directory as configured. */
  private readonly opened = new Map<string, Promise<AssetCache>>();
  private readonly notedServices = new Set<string>();

  /** The cache of that directory. Throws `CacheError` when it cannot be used: the next call tries again. */
  async of(settings: CacheSettings, own: CacheTiming, log: Logger): Promise<AssetCache> {
    const { directory } = settings;
    const opening = this.opened.get(directory) ?? AssetCache.open(settings, own, log);
    this.opened.set(directory, opening);
    try {
      return await opening;
    } catch (error) {
      this.opened.delete(directory);
      throw error;
    }
  }

  /** Logs once that a stock cache service is used. */
  noteService(url: string, directory: string, log: Logger): void {
    if (this.notedServices.has(url)) return;
    this.notedServices.add(url);
    log.info(`A stock cache service answers at ${url}: it is used, and ${directory} is left to it`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opening of this.opened.values()) await (await opening.catch(() => undefined))?.close();
    this.opened.clear();
  }
}
