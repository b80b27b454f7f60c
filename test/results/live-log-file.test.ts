import { expect, test } from "bun:test";
import { lstat, mkdir, readdir, symlink } from "node:fs/promises";
import { LiveLogFile } from "../../src/results/live-log-file.ts";
import { makeFifo, TemporaryPool } from "./temporary-pool.ts";
import { recordingContext } from "./web-ui-double.ts";

async function isThere(pool: TemporaryPool): Promise<boolean> {
  return await Bun.file(pool.path("live_log")).exists();
}

test("the file is there as long as it is wanted", async () => {
  await using pool = await TemporaryPool.make();
  const { log, lines } = recordingContext();
  const file = new LiveLogFile(pool.directory);
  for (const isWanted of [false, true, true, false, false, true]) {
    await file.set(isWanted, log);
    expect(await isThere(pool)).toBe(isWanted);
  }
  expect(lines).toEqual([]);
});

test("of many calls in a row the last one counts", async () => {
  await using pool = await TemporaryPool.make();
  const { log } = recordingContext();
  const file = new LiveLogFile(pool.directory);
  for (const isWanted of [true, false, true, false, true]) void file.set(isWanted, log);
  await file.set(false, log);
  expect(await isThere(pool)).toBe(false);
});

test("what an earlier worker left there is used and removed", async () => {
  await using pool = await TemporaryPool.make({ live_log: "" });
  const { log, lines } = recordingContext();
  const file = new LiveLogFile(pool.directory);
  await file.set(true, log);
  expect(await isThere(pool)).toBe(true);
  await new LiveLogFile(pool.directory).set(false, log);
  expect(await isThere(pool)).toBe(false);
  expect(lines).toEqual([]);
});

test.each<[string, (pool: TemporaryPool) => Promise<unknown>]>([
  ["a link to a file", (pool) => symlink(`${pool.outside}/secret`, pool.path("live_log"))],
  ["a link to nothing", (pool) => symlink(`${pool.outside}/new`, pool.path("live_log"))],
  ["a FIFO", (pool) => makeFifo(pool.path("live_log"))],
  ["a folder", (pool) => mkdir(pool.path("live_log"))],
])("%s in its place is left alone, with a warning", async (_, put) => {
  await using pool = await TemporaryPool.make();
  await put(pool);
  const before = (await lstat(pool.path("live_log"))).ino;
  const { log, lines } = recordingContext();
  const file = new LiveLogFile(pool.directory);
  await file.set(true, log);
  expect(lines).toEqual([`warn Leaving ${pool.path("live_log")} alone: it is no regular file`]);
  await file.set(false, log);
  expect((await lstat(pool.path("live_log"))).ino).toBe(before);
  expect(await readdir(pool.outside)).toEqual(["secret"]);
});

test("a pool in which nothing can be created costs the pictures only", async () => {
  const { log, lines } = recordingContext();
  await new LiveLogFile("/proc/self").set(true, log);
  expect(lines).toEqual([expect.stringContaining("warn Unable to create /proc/self/live_log: ")]);
});
