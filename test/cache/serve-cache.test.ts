import { describe, expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { allPins } from "../../src/cache/locks/pins.ts";
import { serveOwnCache, whyNoSync } from "../../src/cache/serve-cache.ts";
import { CacheService } from "../../src/cache/service/service-client.ts";
import { loadedSettings, recordingContext } from "../job/job-host.ts";
import { cacheSettings, own, TemporaryCache } from "./temporary-cache.ts";

async function serving(here: TemporaryCache, source = "/nowhere") {
  const url = here.server.url;
  const { hosts } = await loadedSettings(`[global]\nHOST = ${url}\n[${url}]\nTESTPOOLSERVER = ${source}\n`);
  const cache = await here.open();
  const settings = cacheSettings(here.directory);
  const options = {
    listen: [{ hostname: "127.0.0.1", port: 0 }],
    settings: { hosts, own: { ...own } as never },
    cacheSettings: settings,
    environment: { PATH: process.env["PATH"] ?? "" },
  };
  const server = await serveOwnCache(cache, options, recordingContext());
  const client = new CacheService(server.urls[0] ?? "", settings);
  return { url, cache, client, options, [Symbol.asyncDispose]: () => server.close() };
}

describe("served to a stock worker", () => {
  test("an asset is fetched, and kept until the worker has linked it", async () => {
    await using here = await TemporaryCache.make();
    await using served = await serving(here);
    here.server.put("/tests/7/asset/iso/a.iso", "content");
    const asset = { jobId: "7", type: "iso", name: "a.iso", host: served.url };
    const { hasError, output } = await served.client.fetchAsset(asset, recordingContext());
    expect({ hasError, output }).toMatchObject({ hasError: false });
    expect(output).toContain('Download of "');
    expect(await readFile(join(here.directory, "127.0.0.1/a.iso"), "utf8")).toBe("content");
    expect(await allPins(served.cache.folder)).toMatchObject([{ holder: "stock worker, job 7" }]);
  });

  test("tests are synced from where workers.ini says", async () => {
    await using here = await TemporaryCache.make();
    const source = join(here.directory, "../source");
    await mkdir(source);
    await writeFile(join(source, "main.pm"), "1;");
    await using served = await serving(here, source);
    const to = join(here.directory, "127.0.0.1");
    await served.client.syncTests({ from: source, to }, recordingContext());
    expect(await readFile(join(to, "tests/main.pm"), "utf8")).toBe("1;");
  });

  test("the exit code of rsync is passed on", async () => {
    await using here = await TemporaryCache.make();
    await using served = await serving(here, "/nowhere");
    const sync = { from: "/nowhere", to: join(here.directory, "127.0.0.1") };
    await expect(served.client.syncTests(sync, recordingContext())).rejects.toThrow(
      "Failed to rsync tests: exit code 23",
    );
  });

  test("hosts that are not configured are refused", async () => {
    await using here = await TemporaryCache.make();
    await using served = await serving(here);
    const asset = { jobId: "7", type: "iso", name: "a.iso", host: "evil.example" };
    await expect(served.client.fetchAsset(asset, recordingContext())).rejects.toThrow(
      "evil.example is not in HOST of workers.ini",
    );
    expect(here.server.served).toEqual([]);
  });
});

test("a sync is refused unless it is what workers.ini has", async () => {
  await using here = await TemporaryCache.make();
  await using served = await serving(here, "rsync://openqa/tests");
  const why = (from: string, to: string) => whyNoSync(from, to, served.options);
  const folder = join(here.directory, "127.0.0.1");
  expect(why("rsync://openqa/tests", folder)).toBeUndefined();
  expect(why("rsync://openqa/tests", `${folder}/`)).toBeUndefined();
  for (const [from, to] of [
    ["rsync://openqa/tests", "/home/somebody"],
    ["rsync://openqa/tests", here.directory],
    ["rsync://openqa/tests", `${folder}/../..`],
    ["rsync://evil/tests", folder],
    ["-e 'sh -c evil' x:", folder],
  ] as const)
    expect(why(from, to)).toContain(`has TESTPOOLSERVER = ${from}`);
});
