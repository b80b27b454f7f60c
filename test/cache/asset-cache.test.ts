import { describe, expect, test } from "bun:test";
import { appendFile, link, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AssetCache } from "../../src/cache/asset-cache.ts";
import { partialPath } from "../../src/cache/cache-folder.ts";
import { writePartial } from "../../src/cache/download/partial-file.ts";
import { tryClaim } from "../../src/cache/locks/claims.ts";
import { AssetRefusedError, CacheError } from "../../src/errors.ts";
import { recordingContext } from "../job/job-host.ts";
import { etagOf } from "./asset-server.ts";
import { TemporaryCache } from "./temporary-cache.ts";

/** Fetches without keeping the pin. */
async function get(cache: AssetCache, here: TemporaryCache, name: string): Promise<string> {
  const { outcome, pin } = await cache.get(here.request(name), recordingContext());
  await pin.release();
  return outcome;
}

test("an asset is fetched once, then only asked for", async () => {
  await using here = await TemporaryCache.make();
  here.server.put("/a.iso", "content");
  const cache = await here.open();
  const before = Math.floor(Date.now() / 1000);
  expect(await get(cache, here, "a.iso")).toBe("fetched");
  expect(await readFile(here.path("a.iso"), "utf8")).toBe("content");
  const row = await cache.index.row(here.path("a.iso"), recordingContext());
  const etag = etagOf(here.server.contents.get("/a.iso")!);
  expect(row).toMatchObject({ etag, sizeBytes: 7, isPending: false });
  expect(row?.lastUse).toBeGreaterThanOrEqual(before);
  expect(await get(cache, here, "a.iso")).toBe("unchanged");
  expect(here.server.statuses).toEqual([200, 304]);
  expect(await readdir(cache.folder.partialFolder)).toEqual([]);
});

test("what has changed on the server is fetched again", async () => {
  await using here = await TemporaryCache.make();
  const cache = await here.open();
  for (const content of ["old", "new"]) {
    here.server.put("/a.iso", content);
    expect(await get(cache, here, "a.iso")).toBe("fetched");
    expect(await readFile(here.path("a.iso"), "utf8")).toBe(content);
  }
});

test("many that want one asset at once share a download", async () => {
  await using here = await TemporaryCache.make();
  here.server.put("/a.iso", "x".repeat(100_000));
  const [one, other] = [await here.open(), await here.open()];
  const wanted = [one, other, one, other, one].map((cache) => get(cache, here, "a.iso"));
  expect((await Promise.all(wanted)).sort()).toEqual(["fetched", ...Array(4).fill("unchanged")]);
  expect(here.server.statuses.sort()).toEqual([200, 304, 304, 304, 304]);
});

describe("the old copy stays, but is not passed off as current (field lesson 17)", () => {
  test.each([
    ["is refused", 404, AssetRefusedError],
    ["cannot be had", 503, CacheError],
  ])("when the asset %s", async (_, status, expected) => {
    await using here = await TemporaryCache.make();
    here.server.put("/a.iso", "content");
    const cache = await here.open();
    await get(cache, here, "a.iso");
    here.server.answer = () => new Response("no", { status });
    await expect(get(cache, here, "a.iso")).rejects.toBeInstanceOf(expected);
    here.server.answer = () => undefined;
    expect(await get(cache, here, "a.iso")).toBe("unchanged");
  });
});

describe("a copy is not served when", () => {
  test("a job has written to it through its hard link", async () => {
    await using here = await TemporaryCache.make();
    here.server.put("/a.qcow2", "content");
    const cache = await here.open();
    await get(cache, here, "a.qcow2");
    await link(here.path("a.qcow2"), join(here.directory, "pool"));
    await writeFile(join(here.directory, "pool"), "CHANGED");
    expect(await get(cache, here, "a.qcow2")).toBe("fetched");
    expect(await readFile(here.path("a.qcow2"), "utf8")).toBe("content");
    expect(await readFile(join(here.directory, "pool"), "utf8")).toBe("CHANGED");
  });

  test("it was cut off", async () => {
    await using here = await TemporaryCache.make();
    here.server.put("/a.iso", "content");
    const cache = await here.open();
    await get(cache, here, "a.iso");
    await writeFile(here.path("a.iso"), "con");
    expect(await get(cache, here, "a.iso")).toBe("fetched");
    expect(await readFile(here.path("a.iso"), "utf8")).toBe("content");
  });

  test("it is gone", async () => {
    await using here = await TemporaryCache.make();
    here.server.put("/a.iso", "content");
    const cache = await here.open();
    await get(cache, here, "a.iso");
    await rm(here.path("a.iso"));
    expect(await get(cache, here, "a.iso")).toBe("fetched");
  });
});

test("a copy that was only touched is not fetched again", async () => {
  await using here = await TemporaryCache.make();
  here.server.put("/a.iso", "content");
  const cache = await here.open();
  await get(cache, here, "a.iso");
  await utimes(here.path("a.iso"), 1, 1);
  expect(await get(cache, here, "a.iso")).toBe("unchanged");
});

test("a worker that was killed before it wrote the row has not fetched in vain", async () => {
  await using here = await TemporaryCache.make();
  here.server.put("/a.iso", "content");
  const cache = await here.open();
  await get(cache, here, "a.iso");
  await cache.index.remove(here.path("a.iso"), recordingContext());
  expect(await get(cache, here, "a.iso")).toBe("unchanged");
  expect(await cache.index.row(here.path("a.iso"), recordingContext())).toMatchObject({ sizeBytes: 7 });
});

test("an index that is garbage costs no download", async () => {
  await using here = await TemporaryCache.make();
  here.server.put("/a.iso", "content");
  const cache = await here.open();
  await get(cache, here, "a.iso");
  await cache.close();
  await writeFile(join(here.directory, "cache.sqlite"), "garbage".repeat(1000));
  const next = await here.open();
  expect(await get(next, here, "a.iso")).toBe("unchanged");
});

test("what a stock cache service has fetched survives a damaged index from the first request on", async () => {
  await using here = await TemporaryCache.make();
  const cache = await here.open();
  here.server.put("/stock.iso", "of the stock service");
  here.server.put("/a.iso", "content");
  await mkdir(here.path("."), { recursive: true });
  await writeFile(here.path("stock.iso"), "of the stock service");
  const etag = etagOf(here.server.contents.get("/stock.iso")!);
  // A row that cannot be looked at keeps nobody else's asset from being taken over.
  await mkdir(here.path("a-folder.iso"));
  await cache.index.store({ path: here.path("a-folder.iso"), etag: "x", sizeBytes: 1 }, recordingContext());
  await cache.index.store({ path: here.path("stock.iso"), etag, sizeBytes: 20 }, recordingContext());
  await get(cache, here, "a.iso");
  await cache.close();
  await writeFile(join(here.directory, "cache.sqlite"), "garbage".repeat(1000));
  expect(await get(await here.open(), here, "stock.iso")).toBe("unchanged");
});

describe("room", () => {
  const kib = 1 / 1024 ** 2;
  async function filled(here: TemporaryCache, changes = {}) {
    const cache = await here.open({ limitGib: 4 * kib, ...changes });
    for (const name of ["a", "b", "c", "d", "e"]) here.server.put(`/${name}`, name.repeat(1024));
    for (const name of ["a", "b", "c"]) await get(cache, here, name);
    // The index counts in seconds: the order of use is made plain.
    for (const [index, name] of ["b", "a", "c"].entries())
      await age(cache, here.path(name), 100 - 10 * index);
    return cache;
  }
  const names = async (here: TemporaryCache) => (await readdir(join(here.directory, "server"))).sort();

  test("is made by what has not been used for longest", async () => {
    await using here = await TemporaryCache.make();
    const cache = await filled(here);
    await get(cache, here, "d");
    expect(await names(here)).toEqual(["a", "b", "c", "d"]);
    await get(cache, here, "e");
    expect(await names(here)).toEqual(["a", "c", "d", "e"]);
    const rows = await cache.index.rows(recordingContext());
    expect(rows.map(({ path }) => path)).not.toContain(here.path("b"));
  });

  test("is not made by what is in use or being fetched (field lesson 16)", async () => {
    await using here = await TemporaryCache.make();
    const cache = await filled(here);
    const { pin } = await cache.get(here.request("b"), recordingContext());
    await age(cache, here.path("b"), 100);
    await using held = await tryClaim(cache.folder, partialPath(cache.folder, here.path("a")));
    expect(held).toBeDefined();
    await get(cache, here, "d");
    await get(cache, here, "e");
    expect(await names(here)).toEqual(["a", "b", "d", "e"]);
    await pin.release();
  });

  test("is not missed by an asset that is bigger than the limit: then it is alone", async () => {
    await using here = await TemporaryCache.make();
    const cache = await filled(here);
    here.server.put("/big", "x".repeat(10_000));
    await get(cache, here, "big");
    expect(await names(here)).toEqual(["big"]);
  });

  test("is made by what the index does not know and by what nobody goes on with, before any asset", async () => {
    await using here = await TemporaryCache.make();
    const cache = await filled(here, { limitGib: 5 * kib });
    await writeFile(here.path("stray.iso"), "x");
    const abandoned = partialPath(cache.folder, here.path("given up"));
    await writePartial(abandoned, { etag: '"x"', totalBytes: 1024 ** 4 });
    await writeFile(abandoned, "x".repeat(1024));
    await get(cache, here, "d");
    expect(await names(here)).toEqual(["a", "b", "c", "d", "stray.iso"]);
    await get(cache, here, "e");
    expect(await names(here)).toEqual(["a", "b", "c", "d", "e"]);
    expect(await readdir(cache.folder.partialFolder)).toEqual([]);
  });

  test("is kept for a download under way", async () => {
    await using here = await TemporaryCache.make();
    const cache = await filled(here, { limitGib: 5 * kib });
    const other = partialPath(cache.folder, here.path("other"));
    await using _ = await tryClaim(cache.folder, other);
    await writePartial(other, { etag: '"x"', totalBytes: 2048 });
    await get(cache, here, "d");
    expect(await names(here)).toEqual(["a", "c", "d"]);
  });

  test("that the disk does not have is an error with numbers, and nothing is lost", async () => {
    await using here = await TemporaryCache.make();
    const cache = await filled(here, { limitGib: 0 });
    using huge = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (socket) => {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${1024 ** 5}\r\nETag: "huge"\r\n\r\nx`);
        },
      },
    });
    const request = here.request("d", { url: new URL(`http://127.0.0.1:${huge.port}/d`) });
    await expect(cache.get(request, recordingContext())).rejects.toThrow(
      /No space left on the disk of .*: 1024 TiB needed/,
    );
    expect(await readdir(cache.folder.partialFolder)).toEqual([]);
    // To purge all of it would not have been enough.
    expect(await names(here)).toEqual(["a", "b", "c"]);
  });
});

async function age(cache: AssetCache, path: string, seconds: number): Promise<void> {
  const { Database } = await import("bun:sqlite");
  using database = new Database(cache.folder.indexFile);
  database.run("PRAGMA busy_timeout = 5000");
  database.run("UPDATE assets SET last_use = last_use - ? WHERE filename = ?", [seconds, path]);
}

test("a folder cannot be an asset", async () => {
  await using here = await TemporaryCache.make();
  here.server.put("/folder", "content");
  const cache = await here.open();
  await mkdir(here.path("folder"), { recursive: true });
  await expect(get(cache, here, "folder")).rejects.toThrow("is not a file");
  expect((await stat(here.path("folder"))).isDirectory()).toBe(true);
});

test("no asset takes the place of the tests", async () => {
  await using here = await TemporaryCache.make();
  here.server.put("/tests", "content");
  const cache = await here.open();
  await expect(get(cache, here, "tests")).rejects.toThrow('"tests" is where the tests of a host are');
  expect(here.server.served).toEqual([]);
});

test("stopped amid a download it lets go of everything", async () => {
  await using here = await TemporaryCache.make();
  const cache = await here.open();
  const stop = new AbortController();
  here.server.answer = () => {
    stop.abort(new Error("stopped"));
    return new Promise(() => {});
  };
  const getting = cache.get(here.request("a.iso"), recordingContext(stop.signal));
  await expect(getting).rejects.toThrow("stopped");
  here.server.answer = () => undefined;
  here.server.put("/a.iso", "content");
  expect(await get(cache, here, "a.iso")).toBe("fetched");
  expect(await readdir(cache.folder.pinsFolder)).toEqual([]);
});

test("a directory that cannot be one is named, with what to do", async () => {
  await using here = await TemporaryCache.make();
  await appendFile(here.directory, "a file");
  await expect(here.open()).rejects.toThrow(/Cannot use the cache directory .*CACHEDIRECTORY has to be/);
});
