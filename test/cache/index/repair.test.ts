import { afterEach, beforeEach, expect, test } from "bun:test";
import { open, readFile, rename, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeNotes } from "../../../src/cache/asset-notes.ts";
import { IndexDatabase } from "../../../src/cache/index/index-database.ts";
import { IndexSandbox } from "./index-sandbox.ts";
import { OtherProcess } from "./other-process.ts";
import { oldStockSchema, stockSchema } from "./stock-schema.ts";

let sandbox: IndexSandbox;
beforeEach(async () => {
  sandbox = await IndexSandbox.make();
});
afterEach(() => sandbox[Symbol.asyncDispose]());

const indexFile = () => sandbox.folder.indexFile;
const paths = (rows: readonly { path: string }[]) => rows.map(({ path }) => path).sort();

/** A good index of many pages, in which nothing is known of the assets. */
function makeFullIndex(): void {
  const values = Array.from(
    { length: 2000 },
    (_, count) => `('"${count}"', ${count}, ${count}, '/stock/${count}', 0)`,
  );
  sandbox.sql(`${stockSchema} INSERT INTO assets VALUES ${values.join()}`);
}

const damages: readonly [string, () => Promise<void>][] = [
  ["random bytes", () => writeFile(indexFile(), crypto.getRandomValues(new Uint8Array(50_000)))],
  ["nothing", () => writeFile(indexFile(), "")],
  ["a few bytes", () => writeFile(indexFile(), "SQLite")],
  [
    "a database that is cut in the middle",
    async () => {
      makeFullIndex();
      await truncate(indexFile(), Math.floor((await stat(indexFile())).size / 2));
    },
  ],
  [
    "a database with pages that are overwritten",
    async () => {
      makeFullIndex();
      await overwrite(8192, 20_000);
    },
  ],
  ["a database of another program", async () => sandbox.sql("CREATE TABLE assets (id INTEGER, name TEXT)")],
  [
    "a database without a count of steps",
    async () => sandbox.sql(`${stockSchema} DELETE FROM mojo_migrations`),
  ],
  [
    "a database with other columns",
    async () => sandbox.sql(`${stockSchema} ALTER TABLE assets RENAME COLUMN pending TO waiting`),
  ],
];

test.each(damages)(
  "%s: set aside, and made again of all good assets (field lesson 15)",
  async (_, damage) => {
    const good = [await sandbox.addAsset("a.iso", "good"), await sandbox.addAsset("b.qcow2", "good as well")];
    await sandbox.falsify(await sandbox.addAsset("falsified.iso", "same size and time, other content"));
    await writeFile(await sandbox.addAsset("written-to.qcow2", "x"), "y");
    await rm(await sandbox.addAsset("gone.iso", "z"));
    await damage();
    const damaged = await readFile(indexFile());

    const index = sandbox.index();
    const rows = await index.rows(sandbox.context);
    expect(paths(rows)).toEqual(good);
    expect(rows[0]).toMatchObject({ etag: '"a.iso"', sizeBytes: 4, isPending: false });

    const [kept = ""] = await sandbox.damaged();
    const keptFile = join(sandbox.folder.damagedFolder, kept);
    expect(await readFile(keptFile)).toEqual(damaged);
    const [warning = "", ...others] = sandbox.logged("warn");
    expect(others).toEqual([]);
    expect(warning).not.toContain("\n");
    for (const part of [indexFile(), keptFile, "2 assets kept, 3 left out"]) expect(warning).toContain(part);

    await index.store({ path: "/new", etag: '"new"', sizeBytes: 1 }, sandbox.context);
    expect(await index.rows(sandbox.context)).toHaveLength(3);
  },
);

test("damage that shows while the index is open is repaired, and the call is done", async () => {
  const asset = await sandbox.addAsset("a.iso", "good");
  makeFullIndex();
  const index = sandbox.index();
  await index.touch("/stock/1", sandbox.context);
  await overwrite(0, (await stat(indexFile())).size);
  await index.store({ path: "/new", etag: '"new"', sizeBytes: 1 }, sandbox.context);
  expect(paths(await index.rows(sandbox.context))).toEqual(["/new", asset].sort());
  expect(await sandbox.damaged()).toHaveLength(1);
});

test("an index that was deleted while it is open is made again", async () => {
  const asset = await sandbox.addAsset("a.iso", "good");
  const index = sandbox.index();
  await index.rows(sandbox.context);
  await rm(indexFile());
  await index.store({ path: "/new", etag: '"new"', sizeBytes: 1 }, sandbox.context);
  expect(paths(await index.rows(sandbox.context))).toEqual(["/new", asset].sort());
  expect(await sandbox.damaged()).toEqual([]);
});

test("an index that was replaced while it is open is noticed, for reading and for writing", async () => {
  const index = sandbox.index();
  for (const path of ["/first", "/second"]) {
    await index.store({ path: "/old", etag: undefined, sizeBytes: 1 }, sandbox.context);
    const replacement = join(sandbox.folder.directory, "other.sqlite");
    const row = { path, etag: undefined, sizeBytes: 1, lastUse: 1, isPending: false };
    IndexDatabase.create(replacement, [row]);
    await rename(replacement, indexFile());
    if (path === "/first") expect(paths(await index.rows(sandbox.context))).toEqual([path]);
  }
  await index.store({ path: "/new", etag: undefined, sizeBytes: 1 }, sandbox.context);
  expect(paths(await index.rows(sandbox.context))).toEqual(["/new", "/second"]);
});

test("an index of an old stock cache service is brought up to date, not set aside", async () => {
  sandbox.sql(`${oldStockSchema} INSERT INTO assets VALUES ('"e"', 5, 7, '/a')`);
  expect(await sandbox.index().row("/a", sandbox.context)).toMatchObject({
    etag: '"e"',
    lastUse: 7,
    isPending: true,
  });
  expect(await sandbox.damaged()).toEqual([]);
});

test("the journal of an index that was deleted goes, so that the new one is not taken for its", async () => {
  await writeFile(`${indexFile()}-journal`, "of an index that was deleted");
  expect(await sandbox.index().rows(sandbox.context)).toEqual([]);
  expect(await sandbox.damaged()).toEqual([expect.stringMatching(/-journal$/)]);
});

test("a damaged index that another process is just writing to is not taken away from it", async () => {
  await sandbox.index().rows(sandbox.context);
  await using other = new OtherProcess(sandbox.folder, "hold", "60000");
  await other.firstWords();
  await overwrite(0, 100);
  await expect(sandbox.index({ waitMs: 200 }).rows(sandbox.context)).rejects.toThrow(
    `is locked: process ${other.pid} holds it`,
  );
  expect(await sandbox.damaged()).toEqual([]);
});

test("assets that were taken over and never hashed are kept by size and time of change", async () => {
  const path = await sandbox.addAsset("a.iso", "good");
  const { size, mtimeNs } = await stat(path, { bigint: true });
  const adopted = { etag: '"stock"', sizeBytes: Number(size), mtimeNs, sha256: undefined };
  await writeNotes(sandbox.folder, path, [{ ...adopted, sizeBytes: 99 }, adopted]);
  expect(await sandbox.index().row(path, sandbox.context)).toMatchObject({ etag: '"stock"', sizeBytes: 4 });
  await rm(indexFile());
  await utimes(path, 1, 1);
  expect(await sandbox.index().row(path, sandbox.context)).toBeUndefined();
});

test("notes of a file outside the cache directory count for nothing", async () => {
  const outside = join(dirname(sandbox.folder.directory), `outside-${process.pid}`);
  await writeFile(outside, "x");
  const { mtimeNs } = await stat(outside, { bigint: true });
  const version = { etag: undefined, sizeBytes: 1, mtimeNs, sha256: undefined };
  for (const path of [outside, join(sandbox.folder.directory, "a", "..", "..", `outside-${process.pid}`)])
    await writeNotes(sandbox.folder, path, [version]);
  await writeNotes(sandbox.folder, `${sandbox.folder.directory}/../outside-${process.pid}`, [version]);
  expect(await sandbox.index().rows(sandbox.context)).toEqual([]);
  await rm(outside);
});

test("processes that find the damage at the same time repair it once", async () => {
  const assets: string[] = [];
  for (let count = 0; count < 20; count++)
    assets.push(await sandbox.addAsset(`${count}.iso`, `content ${count}`));
  await writeFile(indexFile(), "x".repeat(5000));
  const processes = Array.from({ length: 4 }, () => new OtherProcess(sandbox.folder, "list"));
  const lists = await Promise.all(processes.map((process) => process.rest()));
  for (const list of lists) expect(lines(list).sort()).toEqual(assets.toSorted());
  expect(await sandbox.damaged()).toHaveLength(1);
});

test("a process that is killed while it writes leaves an index with all that it had stored", async () => {
  const stored: string[] = [];
  for (let round = 0; round < 20; round++) {
    await using writer = new OtherProcess(sandbox.folder, "write", String(round));
    const first = await writer.firstWords();
    setTimeout(() => writer.kill(), Math.random() * 30);
    stored.push(...lines(first + (await writer.rest())));
  }
  const found = new Set(paths(await sandbox.index().rows(sandbox.context)));
  expect(stored.length).toBeGreaterThan(20);
  expect(stored.filter((path) => !found.has(path))).toEqual([]);
  expect(await sandbox.damaged()).toEqual([]);
}, 30_000);

/** Without one that was cut off. */
function lines(text: string): string[] {
  return text.split("\n").slice(0, -1);
}

/** Garbage in place of so many bytes, as a broken disk would have it. */
async function overwrite(start: number, length: number): Promise<void> {
  await using file = await open(indexFile(), "r+");
  await file.write(crypto.getRandomValues(new Uint8Array(Math.min(length, 65_536))), 0, undefined, start);
}
