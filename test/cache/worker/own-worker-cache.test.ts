import { describe, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tryClaim } from "../../../src/cache/locks/claims.ts";
import { takePermit } from "../../../src/cache/locks/permits.ts";
import { allPins } from "../../../src/cache/locks/pins.ts";
import { AssetCaches } from "../../../src/cache/worker/asset-caches.ts";
import { chooseWorkerCache } from "../../../src/cache/worker/choose-worker-cache.ts";
import type { CacheUser } from "../../../src/cache/worker/worker-cache.ts";
import type { CacheSettings } from "../../../src/config/settings.ts";
import { AssetRefusedError, CacheError } from "../../../src/errors.ts";
import { recordingContext } from "../../job/job-host.ts";
import { cacheSettings, own, TemporaryCache } from "../temporary-cache.ts";

async function worker(here: TemporaryCache, changes: Partial<CacheSettings> = {}) {
  const caches = new AssetCaches();
  const settings = cacheSettings(here.directory, changes);
  const cache = await chooseWorkerCache({ settings, own, caches }, recordingContext());
  return { cache, [Symbol.asyncDispose]: () => caches[Symbol.asyncDispose]() };
}

function user(here: TemporaryCache): CacheUser {
  const environment = { PATH: process.env["PATH"] ?? "" };
  const { url } = here.server;
  return {
    host: "http://openqa.example:81",
    url,
    credentials: undefined,
    holder: "slot 1, job 7",
    environment,
  };
}

const asset = { jobId: "7", type: "iso", name: "a b.iso" };

test("an asset of a job is kept until the job lets go of it", async () => {
  await using here = await TemporaryCache.make();
  await using own = await worker(here);
  here.server.put("/tests/7/asset/iso/a b.iso", "content");
  const held = new AsyncDisposableStack();
  const path = await own.cache.fetchAsset(asset, user(here), held, recordingContext());
  expect(path).toBe(join(here.directory, "openqa.example/a b.iso"));
  expect(await readFile(path, "utf8")).toBe("content");
  const { folder } = await here.open();
  expect(await allPins(folder)).toMatchObject([{ path, holder: "slot 1, job 7" }]);
  await held.disposeAsync();
  expect(await allPins(folder)).toEqual([]);
});

describe("an asset that cannot be had is named as the stock worker names it", () => {
  const text = (here: TemporaryCache) =>
    `Failed to download a b.iso to ${here.directory}/openqa.example/a b.iso`;
  const failure = async (here: TemporaryCache): Promise<unknown> => {
    await using own = await worker(here);
    const held = new AsyncDisposableStack();
    return await own.cache.fetchAsset(asset, user(here), held, recordingContext()).catch((error) => error);
  };

  test("refused by the web UI", async () => {
    await using here = await TemporaryCache.make();
    const error = await failure(here);
    expect(error).toBeInstanceOf(AssetRefusedError);
    expect(String(error)).toBe(`AssetRefusedError: ${text(here)}`);
  });

  test("for another reason, which is added", async () => {
    await using here = await TemporaryCache.make();
    here.server.answer = () => new Response("<html>", { headers: { "content-type": "text/html" } });
    const error = await failure(here);
    expect(error).not.toBeInstanceOf(AssetRefusedError);
    expect(error).toBeInstanceOf(CacheError);
    expect(String(error)).toStartWith(`CacheError: ${text(here)}: `);
    expect(String(error)).toContain("HTML");
  });
});

test("tests are synced into the folder of their host", async () => {
  await using here = await TemporaryCache.make();
  await using own = await worker(here);
  const { folder } = await here.open();
  await writeFile(join(folder.directory, "main.pm"), "1;");
  const root = await own.cache.syncTests(folder.directory, user(here), recordingContext());
  expect(root).toBe(join(here.directory, "openqa.example/tests"));
  expect(await readFile(join(root, "main.pm"), "utf8")).toBe("1;");
});

describe("a slot can take jobs", () => {
  test("when the directory can be used", async () => {
    await using here = await TemporaryCache.make();
    await using own = await worker(here);
    expect(await own.cache.findProblem(recordingContext())).toBeUndefined();
  });

  test("not when the directory has become unusable, until it is usable again", async () => {
    await using here = await TemporaryCache.make();
    await using own = await worker(here);
    await Bun.$`rm -r ${here.directory}`;
    await writeFile(here.directory, "");
    const problem = await own.cache.findProblem(recordingContext());
    expect(problem).toStartWith(
      `Worker cache not available: Cannot use the cache directory ${here.directory}`,
    );
    await Bun.$`rm ${here.directory}`;
    expect(await own.cache.findProblem(recordingContext())).toBeUndefined();
  });

  test("not while more downloads wait than the limit says", async () => {
    await using here = await TemporaryCache.make();
    await using own = await worker(here, { maxWaiting: 1, maxWaitingOfJob: 2 });
    const { folder } = await here.open();
    const stop = new AbortController();
    const take = () =>
      takePermit(folder, { host: "a.host", count: 1, retryMs: 5 }, recordingContext(stop.signal));
    await using _ = await take();
    const waiting = [take(), take(), take()];
    const full = "Cache service queue already full (1)";
    await Bun.sleep(50);
    expect(await own.cache.findProblem(recordingContext())).toBe(`Worker cache not available: ${full}`);
    const held = new AsyncDisposableStack();
    const fetched = own.cache.fetchAsset(asset, user(here), held, recordingContext());
    await expect(fetched).rejects.toThrow("Cache service queue already full");
    stop.abort(new Error("enough"));
    await Promise.allSettled(waiting);
    expect(await own.cache.findProblem(recordingContext())).toBeUndefined();
  });
});

test("a sync that another process has the folder for is waited for", async () => {
  await using here = await TemporaryCache.make();
  await using own = await worker(here);
  const { folder } = await here.open();
  const target = join(folder.directory, "openqa.example/tests");
  const other = await tryClaim(folder, target);
  const synced = own.cache.syncTests(folder.directory, user(here), recordingContext());
  expect(await Promise.race([synced, Bun.sleep(100)])).toBeUndefined();
  await other?.release();
  expect(await synced).toBe(join(here.directory, "openqa.example/tests"));
});
