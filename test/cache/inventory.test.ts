import { describe, expect, test } from "bun:test";
import { mkdir, readdir, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AssetCache } from "../../src/cache/asset-cache.ts";
import { partialPath } from "../../src/cache/cache-folder.ts";
import { writePartial } from "../../src/cache/download/partial-file.ts";
import {
  cacheFigures,
  clearAssets,
  listAssets,
  pruneAssets,
  verifyAssets,
} from "../../src/cache/inventory.ts";
import { tryClaim } from "../../src/cache/locks/claims.ts";
import { recordingContext } from "../job/job-host.ts";
import { TemporaryCache } from "./temporary-cache.ts";

async function withAssets(here: TemporaryCache, ...names: string[]): Promise<AssetCache> {
  const cache = await here.open();
  for (const name of names) {
    here.server.put(`/${name}`, `content of ${name}`);
    await (await cache.get(here.request(name), recordingContext())).pin.release();
  }
  return cache;
}

async function states(cache: AssetCache): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { path, state } of verifyAssets(cache.parts, recordingContext()))
    found[path.replace(/^.*\//, "")] = state;
  return found;
}

test("assets are listed with who uses them", async () => {
  await using here = await TemporaryCache.make();
  const cache = await withAssets(here, "a.iso", "b.iso");
  const held = await cache.get(here.request("b.iso", { holder: "slot 3, job 42" }), recordingContext());
  const listed = await listAssets(cache.parts, recordingContext());
  expect(listed.map(({ host, name, pins }) => [host, name, pins.map(({ holder }) => holder)])).toEqual([
    ["server", "a.iso", []],
    ["server", "b.iso", ["slot 3, job 42"]],
  ]);
  await held.pin.release();
});

test("figures tell what there is and what goes on", async () => {
  await using here = await TemporaryCache.make();
  const cache = await withAssets(here, "a.iso");
  await writePartial(partialPath(cache.folder, "/x"), { etag: undefined, totalBytes: 5 });
  expect(await cacheFigures(cache.parts, recordingContext())).toMatchObject({
    directory: cache.folder.directory,
    assets: 1,
    usedBytes: "content of a.iso".length,
    limitBytes: undefined,
    pinned: 0,
    unfinished: 1,
    waiting: 0,
  });
});

describe("verification", () => {
  test("finds what is not as it was fetched, even with the old time of change, and it is fetched again (field lesson 41)", async () => {
    await using here = await TemporaryCache.make();
    const cache = await withAssets(here, "good", "rotten", "short", "gone");
    const { atime, mtime } = await stat(here.path("rotten"));
    await writeFile(here.path("rotten"), "CONTENT of rotten");
    await utimes(here.path("rotten"), atime, mtime);
    await truncate(here.path("short"), 3);
    await rm(here.path("gone"));
    expect(await states(cache)).toEqual({
      good: "intact",
      rotten: "changed",
      short: "changed",
      gone: "missing",
    });
    expect(await states(cache)).toEqual({ good: "intact" });
    const again = await cache.get(here.request("rotten"), recordingContext());
    expect(again.outcome).toBe("fetched");
    await again.pin.release();
  });

  test("hashes what a stock cache service has fetched at first sight", async () => {
    await using here = await TemporaryCache.make();
    const cache = await here.open();
    await mkdir(join(here.directory, "server"));
    await writeFile(here.path("a.iso"), "of the stock service");
    await cache.index.store({ path: here.path("a.iso"), etag: '"x"', sizeBytes: 20 }, recordingContext());
    expect(await states(cache)).toEqual({ "a.iso": "first seen" });
    expect(await states(cache)).toEqual({ "a.iso": "intact" });
  });

  test("leaves alone what is being fetched", async () => {
    await using here = await TemporaryCache.make();
    const cache = await withAssets(here, "a.iso");
    await using _ = await tryClaim(cache.folder, partialPath(cache.folder, here.path("a.iso")));
    expect(await states(cache)).toEqual({ "a.iso": "busy" });
  });
});

describe("pruning", () => {
  test("removes disk images that the index does not know, and nothing else", async () => {
    await using here = await TemporaryCache.make();
    const cache = await withAssets(here, "a.iso");
    await mkdir(here.path("tests"));
    for (const name of ["stray.qcow2", "notes.txt", "tests/inner.iso"]) await writeFile(here.path(name), "x");
    const removed = await pruneAssets(cache.parts, recordingContext());
    expect(removed).toEqual([{ path: here.path("stray.qcow2"), sizeBytes: 1 }]);
    expect((await readdir(here.path("."), { recursive: true })).sort()).toEqual([
      "a.iso",
      "notes.txt",
      "tests",
      "tests/inner.iso",
    ]);
  });

  test("takes files of ours back into the index when only their row is missing", async () => {
    await using here = await TemporaryCache.make();
    const cache = await withAssets(here, "a.bin");
    await cache.index.remove(here.path("a.bin"), recordingContext());
    expect(await pruneAssets(cache.parts, recordingContext())).toEqual([]);
    expect(await cache.index.row(here.path("a.bin"), recordingContext())).toBeDefined();
  });

  test("removes unfinished downloads that nobody has gone on with for a day", async () => {
    await using here = await TemporaryCache.make();
    const cache = await here.open();
    for (const [name, hours] of [["old", 25] as const, ["new", 23] as const, ["active", 25] as const]) {
      const partial = partialPath(cache.folder, name);
      await writePartial(partial, { etag: '"x"', totalBytes: 5 });
      await writeFile(partial, "x");
      const time = Date.now() / 1000 - hours * 3600;
      await utimes(partial, time, time);
    }
    await using _ = await tryClaim(cache.folder, partialPath(cache.folder, "active"));
    await pruneAssets(cache.parts, recordingContext());
    const kept = ["active", "new"].map((name) => partialPath(cache.folder, name).replace(/^.*\//, ""));
    const files = (await readdir(cache.folder.partialFolder)).filter((name) => !name.endsWith(".json"));
    expect(files.sort()).toEqual(kept.sort());
  });
});

test("clearing keeps what is in use", async () => {
  await using here = await TemporaryCache.make();
  const cache = await withAssets(here, "a.iso", "b.iso");
  const held = await cache.get(here.request("b.iso"), recordingContext());
  await writePartial(partialPath(cache.folder, "/x"), { etag: undefined, totalBytes: 5 });
  const { removed, kept } = await clearAssets(cache.parts, recordingContext());
  expect(removed.map(({ path }) => path)).toEqual([partialPath(cache.folder, "/x"), here.path("a.iso")]);
  expect(kept.map(({ path }) => path)).toEqual([here.path("b.iso")]);
  expect(await readdir(here.path("."))).toEqual(["b.iso"]);
  await held.pin.release();
});
