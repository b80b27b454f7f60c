import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, rename, stat, symlink, truncate } from "node:fs/promises";
import {
  createInside,
  listInside,
  openInside,
  PoolFileError,
  readInside,
} from "../../src/results/pool-file.ts";
import { makeFifo, TemporaryPool } from "./temporary-pool.ts";

const maxBytes = 1000;

test("a regular file below the directory is read, in any folder", async () => {
  await using pool = await TemporaryPool.make({ a: "top", "x/y/b": "deep" });
  expect(String(await readInside(pool.directory, "a", maxBytes))).toBe("top");
  expect(String(await readInside(pool.directory, "x/y/b", maxBytes))).toBe("deep");
});

test("the directory itself may be a link", async () => {
  await using pool = await TemporaryPool.make({ a: "top" });
  await symlink(pool.directory, `${pool.outside}/link`);
  expect(String(await readInside(`${pool.outside}/link`, "a", maxBytes))).toBe("top");
});

test("what is missing is undefined", async () => {
  await using pool = await TemporaryPool.make();
  for (const name of ["none", "no/folder"])
    expect(await readInside(pool.directory, name, maxBytes)).toBeUndefined();
});

test.each([
  "",
  "..",
  "../outside/secret",
  "x/../../outside/secret",
  "/etc/passwd",
  "./a",
  "a\0b",
  "x//b",
  ".",
])("the name %j is refused", async (name) => {
  await using pool = await TemporaryPool.make({ a: "", "x/b": "" });
  await expect(readInside(pool.directory, name, maxBytes)).rejects.toThrow(PoolFileError);
});

const traps: Readonly<Record<string, (pool: TemporaryPool) => Promise<void>>> = {
  "a link out of the pool": (pool) => symlink(`${pool.outside}/secret`, pool.path("trap")),
  "a link to a file of the pool": (pool) => symlink("good", pool.path("trap")),
  "a link to nothing": (pool) => symlink("none", pool.path("trap")),
  "a FIFO that nobody writes to": (pool) => makeFifo(pool.path("trap")),
  "a folder": async (pool) => void (await mkdir(pool.path("trap"))),
  "a link to a device": (pool) => symlink("/dev/zero", pool.path("trap")),
};
test.each(Object.entries(traps))("%s is refused at once", async (_, setUp) => {
  await using pool = await TemporaryPool.make({ good: "good" });
  await setUp(pool);
  await expect(openInside(pool.directory, "trap")).rejects.toThrow(PoolFileError);
});

test("nothing is read through a folder that is a link", async () => {
  await using pool = await TemporaryPool.make();
  await symlink(pool.outside, pool.path("testresults"));
  await expect(readInside(pool.directory, "testresults/secret", maxBytes)).rejects.toThrow(PoolFileError);
  await expect(listInside(pool.directory, "testresults")).rejects.toThrow(PoolFileError);
});

test("a file above the limit is not read", async () => {
  await using pool = await TemporaryPool.make({ big: "" });
  await truncate(pool.path("big"), 100 * 1024 * 1024);
  await expect(readInside(pool.directory, "big", maxBytes)).rejects.toThrow(
    "more than the 1000 that are read",
  );
});

test("a file that is replaced while it is open keeps its content", async () => {
  await using pool = await TemporaryPool.make({ a: "old" });
  await using file = await openInside(pool.directory, "a");
  await pool.write({ b: "newer" });
  await rename(pool.path("b"), pool.path("a"));
  expect(await file?.handle.readFile("utf8")).toBe("old");
  await using newer = await openInside(pool.directory, "a");
  expect(newer?.version).not.toBe(file?.version);
});

test("a listing has the regular files of the folder by name, links and FIFOs apart, nothing below it", async () => {
  await using pool = await TemporaryPool.make({
    "logs/b": "",
    "logs/a": "",
    "logs/.c": "",
    "logs/sub/d": "",
  });
  await symlink(`${pool.outside}/secret`, pool.path("logs/link"));
  await makeFifo(pool.path("logs/fifo"));
  expect(await listInside(pool.directory, "logs")).toEqual({
    files: [".c", "a", "b"],
    others: ["fifo", "link"],
  });
  expect(await listInside(pool.directory, "none")).toEqual({ files: [], others: [] });
});

test("a new file is for this user only, in a folder that is there", async () => {
  await using pool = await TemporaryPool.make({ "x/old": "" });
  await createInside(pool.directory, "x/new", Buffer.from("new"));
  await createInside(pool.directory, "top", Buffer.from("top"));
  expect(await readFile(pool.path("x/new"), "utf8")).toBe("new");
  expect(await readFile(pool.path("top"), "utf8")).toBe("top");
  expect((await stat(pool.path("x/new"))).mode & 0o777).toBe(0o600);
});

test.each([
  "none/new",
  "../outside/new",
  "link/new",
  "taken",
  "dangling",
  "trap",
  "folder",
  "",
  ".",
  "..",
  "new/",
  "x/..",
])("no new file is made as %j", async (name) => {
  await using pool = await TemporaryPool.make({ taken: "mine", "x/old": "" });
  await symlink(pool.outside, pool.path("link"));
  await symlink(`${pool.outside}/new`, pool.path("dangling"));
  await mkdir(pool.path("folder"));
  await makeFifo(pool.path("trap"));
  const names = async () => (await readdir(pool.directory, { recursive: true })).sort();
  const before = await names();
  await expect(createInside(pool.directory, name, Buffer.from("new"))).rejects.toThrow(PoolFileError);
  expect(await names()).toEqual(before);
  expect(await readdir(pool.outside)).toEqual(["secret"]);
  expect(await readFile(pool.path("taken"), "utf8")).toBe("mine");
});
