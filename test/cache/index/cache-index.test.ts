import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, readdir, readlink, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { CacheError } from "../../../src/errors.ts";
import { IndexSandbox } from "./index-sandbox.ts";
import { OtherProcess } from "./other-process.ts";
import { stockSchema } from "./stock-schema.ts";

let sandbox: IndexSandbox;
beforeEach(async () => {
  sandbox = await IndexSandbox.make();
});
afterEach(() => sandbox[Symbol.asyncDispose]());

const threadCount = async () => (await readdir("/proc/self/task")).length;
const now = () => Math.floor(Date.now() / 1000);

test("what was stored is found, replaced, used and removed", async () => {
  const { context } = sandbox;
  const index = sandbox.index();
  expect(await index.row("/a", context)).toBeUndefined();
  const before = now();
  await index.store({ path: "/a", etag: '"1"', sizeBytes: 6_000_000_000 }, context);
  await index.store({ path: "/b", etag: undefined, sizeBytes: 1 }, context);
  const row = await index.row("/a", context);
  expect(row).toMatchObject({ path: "/a", etag: '"1"', sizeBytes: 6_000_000_000, isPending: false });
  expect(row?.lastUse).toBeWithin(before, now() + 1);
  await index.store({ path: "/a", etag: '"2"', sizeBytes: 7 }, context);
  expect(await index.row("/a", context)).toMatchObject({ etag: '"2"', sizeBytes: 7 });
  expect((await index.row("/b", context))?.etag).toBeUndefined();
  await index.remove("/a", context);
  await index.touch("/a", context);
  expect((await index.rows(context)).map(({ path }) => path)).toEqual(["/b"]);
});

test("an index of the stock cache service is used as it is, with what that has left pending or empty", async () => {
  const { context } = sandbox;
  sandbox.sql(`${stockSchema}
    INSERT INTO assets VALUES ('"new"', 5, 1700000002, '/new', 0), ('"old"', '6', '1700000001', '/old', 0),
      (NULL, NULL, 1700000003, '/pending', 1);
    CREATE TABLE minion_jobs (id INTEGER);`);
  const { ino } = await stat(sandbox.folder.indexFile);
  const index = sandbox.index();
  expect(await index.rows(context)).toEqual([
    { path: "/old", etag: '"old"', sizeBytes: 6, lastUse: 1_700_000_001, isPending: false },
    { path: "/new", etag: '"new"', sizeBytes: 5, lastUse: 1_700_000_002, isPending: false },
    { path: "/pending", etag: undefined, sizeBytes: 0, lastUse: 1_700_000_003, isPending: true },
  ]);
  await index.touch("/pending", context);
  await index.touch("/old", context);
  expect((await index.rows(context))[0]?.path).toBe("/new");
  expect((await index.row("/pending", context))?.isPending).toBe(false);
  expect((await stat(sandbox.folder.indexFile)).ino).toBe(ino);
  expect(await sandbox.damaged()).toEqual([]);
});

test("a new index is one of journal mode DELETE, with the folder that the stock cache service needs", async () => {
  await sandbox.index().rows(sandbox.context);
  using database = new Database(sandbox.folder.indexFile);
  expect(database.query("PRAGMA journal_mode").get()).toEqual({ journal_mode: "delete" });
  expect((await stat(join(sandbox.folder.directory, "tmp"))).isDirectory()).toBe(true);
});

test("while another process has the index to itself calls wait, and nothing else does", async () => {
  const { context, folder } = sandbox;
  const index = sandbox.index();
  await index.store({ path: "/a", etag: '"1"', sizeBytes: 1 }, context);
  await using other = new OtherProcess(folder, "hold", "1500");
  await other.firstWords();
  const begin = performance.now();
  let last = begin;
  let maxLagMs = 0;
  const ticks = setInterval(() => {
    maxLagMs = Math.max(maxLagMs, performance.now() - last - 5);
    last = performance.now();
  }, 5);
  await index.touch("/a", context);
  clearInterval(ticks);
  const waitedMs = performance.now() - begin;
  console.log(
    `lag of the event loop: ${maxLagMs.toFixed(1)} ms while a call waited ${waitedMs.toFixed(0)} ms`,
  );
  expect(waitedMs).toBeGreaterThan(1000);
  expect(maxLagMs).toBeLessThan(200);
});

test("an index that stays locked is an error that names it and who has it, and it is not touched", async () => {
  const { context, folder } = sandbox;
  await sandbox.index().rows(context);
  await using other = new OtherProcess(folder, "hold", "60000");
  await other.firstWords();
  const touched = sandbox.index({ waitMs: 100 }).touch("/a", context);
  await expect(touched).rejects.toThrow(CacheError);
  await expect(touched).rejects.toThrow(
    `${folder.indexFile} is locked: process ${other.pid} holds it for over 100 ms`,
  );
  expect(await sandbox.damaged()).toEqual([]);
});

test("an aborted call ends at once with the reason, and the next one goes through", async () => {
  const { context, folder } = sandbox;
  const index = sandbox.index();
  await index.rows(context);
  await using other = new OtherProcess(folder, "hold", "600");
  await other.firstWords();
  const aborting = new AbortController();
  const reason = new Error("the job was cancelled");
  const touched = index.touch("/a", { ...context, signal: aborting.signal });
  aborting.abort(reason);
  const begin = performance.now();
  await expect(touched).rejects.toBe(reason);
  expect(performance.now() - begin).toBeLessThan(200);
  await expect(index.rows({ ...context, signal: aborting.signal })).rejects.toBe(reason);
  expect(await index.rows(context)).toEqual([]);
});

test("the thread is there from the first call until none has come for a while, and comes back", async () => {
  const { context, folder } = sandbox;
  const before = await threadCount();
  const index = sandbox.index({ idleMs: 50 });
  expect(await threadCount()).toBe(before);
  await index.store({ path: "/a", etag: '"1"', sizeBytes: 1 }, context);
  expect(await isOpen(folder.indexFile)).toBe(true);
  while (await isOpen(folder.indexFile)) await Bun.sleep(10);
  expect((await index.row("/a", context))?.etag).toBe('"1"');
});

test("a process that has left its index alone comes to its end by itself", async () => {
  await using other = new OtherProcess(sandbox.folder, "leave");
  expect(await other.rest()).toBe("left\n");
});

test("closing ends the thread, fails what is under way and what comes later, and can be repeated", async () => {
  const { context, folder } = sandbox;
  const index = sandbox.index();
  await index.rows(context);
  const touched = index.touch("/a", context);
  const closed = index.close();
  await expect(touched).rejects.toThrow(`${folder.indexFile} has been closed`);
  await closed;
  expect(await isOpen(folder.indexFile)).toBe(false);
  await index.close();
  await expect(index.rows(context)).rejects.toThrow("has been closed");
  await sandbox.index().close();
});

test("closing does not wait for a process that has the index", async () => {
  const { context, folder } = sandbox;
  const index = sandbox.index();
  await index.rows(context);
  await using other = new OtherProcess(folder, "hold", "2500");
  await other.firstWords();
  const touched = index.touch("/a", context);
  const begin = performance.now();
  const [call] = await Promise.allSettled([touched, index.close()]);
  expect(call.status).toBe("rejected");
  expect(performance.now() - begin).toBeLessThan(2000);
});

test("a folder in place of the index is an error that says so", async () => {
  await mkdir(sandbox.folder.indexFile);
  const asked = sandbox.index().rows(sandbox.context);
  await expect(asked).rejects.toThrow(CacheError);
  await expect(asked).rejects.toThrow(`${sandbox.folder.indexFile} is not a file: move it away`);
});

test("a cache directory that is gone is an error, and no endless attempt", async () => {
  await rm(sandbox.folder.directory, { recursive: true });
  await expect(sandbox.index().rows(sandbox.context)).rejects.toThrow(CacheError);
  await mkdir(sandbox.folder.directory);
});

/** By this process. */
async function isOpen(path: string): Promise<boolean> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(links)).includes(path);
}
