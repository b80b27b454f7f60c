// A cache directory in a temporary folder with a server to fetch from, for one test.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AssetCache, type AssetRequest } from "../../src/cache/asset-cache.ts";
import type { CacheSettings, OwnSettings } from "../../src/config/settings.ts";
import { recordingContext } from "../job/job-host.ts";
import { AssetServer } from "./asset-server.ts";

export const own: Pick<OwnSettings, "cache" | "timeouts"> = {
  cache: {
    retryDelayMs: 5,
    maxRetryDelayMs: 20,
    minBytesPerWindow: 1,
    rateWindowMs: 2000,
    lockRetryMs: 5,
    indexWaitMs: 10_000,
  },
  timeouts: { answerMs: 5000, idleMs: 5000, requestMs: 5000, websocketMs: 5000 },
};

export function cacheSettings(directory: string, changes: Partial<CacheSettings> = {}): CacheSettings {
  return {
    directory,
    testsDirectory: directory,
    limitGib: 0,
    minFreePercentage: undefined,
    workers: 5,
    maxWaiting: 5,
    maxWaitingOfJob: 45,
    service: {
      url: undefined,
      localUrl: "http://127.0.0.1:9",
      tries: 1,
      retryDelayMs: 1,
      pollIntervalMs: 1,
      checkTimeoutMs: 1000,
    },
    sync: { timeoutMs: 10_000, tries: 1, retryDelayMs: 1, rounds: 1 },
    ...changes,
  };
}

export class TemporaryCache implements AsyncDisposable {
  readonly server = new AssetServer();
  private readonly opened: AssetCache[] = [];

  private constructor(private readonly folder: string) {}

  static async make(): Promise<TemporaryCache> {
    return new TemporaryCache(await mkdtemp(join(tmpdir(), "cache-")));
  }

  get directory(): string {
    return join(this.folder, "cache");
  }

  /** Of the host "server". */
  path(name: string): string {
    return join(this.directory, "server", name);
  }

  async open(changes: Partial<CacheSettings> = {}): Promise<AssetCache> {
    const cache = await AssetCache.open(cacheSettings(this.directory, changes), own, recordingContext().log);
    this.opened.push(cache);
    return cache;
  }

  request(name: string, changes: Partial<AssetRequest> = {}): AssetRequest {
    const url = new URL(`${this.server.url}/${encodeURIComponent(name)}`);
    return { url, credentials: undefined, host: "server", name, holder: "test", tries: 3, ...changes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cache of this.opened) await cache.close();
    await this.server[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true });
  }
}
