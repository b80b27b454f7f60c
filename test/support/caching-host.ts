// A worker host that caches: assets come from the fake web UI, tests by rsync from a folder. Its folders are removed
// after the test.
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TemporaryWorkerOptions } from "./temporary-worker.ts";
import { openFolder, openWebUi, openWorker, type WorkerHost } from "./worker-host.ts";

export interface CachePlace {
  /** CACHEDIRECTORY; not made yet. */
  readonly cacheDirectory: string;
  /** TESTPOOLSERVER, with tests for `plainJob`. */
  readonly testPool: string;
  /** First in the PATH of workers; empty. */
  readonly programs: string;
}

export async function openCachePlace(): Promise<CachePlace> {
  const folder = await openFolder();
  const [testPool, programs] = [join(folder, "tests"), join(folder, "programs")];
  for (const path of [join(testPool, "fake/needles"), programs]) await mkdir(path, { recursive: true });
  await writeFile(join(testPool, "fake/main.pm"), "1;\n");
  return { cacheDirectory: join(folder, "cache"), testPool, programs };
}

/** Nothing listens where a stock cache service would. What goes wrong is tried again soon, a test sync never. */
export function cachingOptions(
  { cacheDirectory, testPool, programs }: CachePlace,
  { global, own, env, ...others }: TemporaryWorkerOptions = {},
): TemporaryWorkerOptions {
  return {
    hostSections: { TESTPOOLSERVER: testPool },
    ...others,
    global: { CACHEDIRECTORY: cacheDirectory, ...global },
    own: {
      "cache.retry_delay_ms": 50,
      "cache.max_retry_delay_ms": 200,
      "cache.rate_window_ms": 60_000,
      "cache.lock_retry_ms": 20,
      ...own,
    },
    env: {
      PATH: `${programs}:${process.env["PATH"]}`,
      OPENQA_BASE_PORT: "1",
      OPENQA_RSYNC_RETRIES: "1",
      OPENQA_CACHE_SERVICE_TEST_SYNC_ATTEMPTS: "1",
      ...env,
    },
  };
}

export type CachingHost = WorkerHost & CachePlace;

/** A worker that is connected and idle; its web UI has the asset of `plainJob`. */
export async function openCachingHost(options?: TemporaryWorkerOptions): Promise<CachingHost> {
  const place = await openCachePlace();
  const ui = await openWebUi();
  ui.assets.put("iso/fake.iso", "bytes of an iso");
  const worker = await openWorker(ui, cachingOptions(place, options));
  return { ...place, ui, worker, workerId: await ui.registered() };
}

/** Where an asset is in the cache. */
export function cachedPath({ cacheDirectory }: CachePlace, name: string): string {
  return join(cacheDirectory, "127.0.0.1", name);
}

/** A shell script in the place of rsync, for workers that are started with `cachingOptions`. */
export async function replaceRsync({ programs }: CachePlace, script: string): Promise<void> {
  const path = join(programs, "rsync");
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
}
