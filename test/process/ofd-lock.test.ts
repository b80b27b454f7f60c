import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  countLockedBytes,
  lockHolder,
  OfdLock,
  tryLockBytes,
  tryLockFreeByte,
} from "../../src/process/ofd-lock.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ofd-lock-"));
  path = join(folder, "lock");
});
afterEach(() => rm(folder, { recursive: true }));

async function mustLock(start: number, length: number): Promise<OfdLock> {
  const lock = await tryLockBytes(path, { start, length });
  if (!(lock instanceof OfdLock)) throw new Error("not locked");
  return lock;
}

test("ranges that do not overlap are locked independently, others exclude each other", async () => {
  const first = await mustLock(0, 2);
  const second = await mustLock(2, 1);
  expect(await tryLockBytes(path, { start: 1, length: 1 })).toEqual({ heldBy: undefined });
  await first.release();
  const third = await mustLock(1, 1);
  expect(await tryLockBytes(path, { start: 2, length: 1 })).toEqual({ heldBy: undefined });
  await second.release();
  await third.release();
});

test("closing another descriptor of the file does not drop the lock", async () => {
  const lock = await mustLock(0, 1);
  await readFile(path);
  await (await mustLock(5, 1)).release();
  expect(await tryLockBytes(path, { start: 0, length: 1 })).toEqual({ heldBy: undefined });
  await lock.release();
});

test("released twice it is released once: a later holder keeps the lock", async () => {
  const lock = await mustLock(0, 1);
  await lock.release();
  const later = await mustLock(0, 1);
  await lock.release();
  expect(await lockHolder(path, { start: 0, length: 1 })).toEqual({ heldBy: undefined });
  await expect(lock.write("x")).rejects.toThrow("released");
  await later.release();
  expect(await lockHolder(path, { start: 0, length: 1 })).toBeUndefined();
});

test("a folder that is missing is an error, a file is not", async () => {
  await expect(tryLockBytes(join(folder, "none/lock"), { start: 0, length: 1 })).rejects.toThrow("ENOENT");
  expect(await lockHolder(join(folder, "none"), { start: 0, length: 1 })).toBeUndefined();
});

test("of several bytes the first is locked that nobody has", async () => {
  const held = await mustLock(7, 1);
  const first = await tryLockFreeByte(path, [7, 3, 5]);
  const second = await tryLockFreeByte(path, [7, 3, 5]);
  expect(await lockHolder(path, { start: 3, length: 1 })).toBeDefined();
  expect(await lockHolder(path, { start: 5, length: 1 })).toBeDefined();
  expect(await tryLockFreeByte(path, [7, 3, 5])).toBeUndefined();
  for (const lock of [held, first, second]) await lock?.release();
});

test("locked bytes are counted within the range, each once", async () => {
  const range = { start: 10, length: 90 };
  expect(await countLockedBytes(path, range)).toBe(0);
  // Of different holders, in no order, reaching into the range and out of it, one without an end.
  const locks = [await mustLock(50, 3), await mustLock(5, 7), await mustLock(20, 1), await mustLock(21, 1)];
  expect(await countLockedBytes(path, range)).toBe(3 + 2 + 1 + 1);
  locks.push(await mustLock(90, 0));
  expect(await countLockedBytes(path, range)).toBe(3 + 2 + 1 + 1 + 10);
  for (const lock of locks) await lock.release();
  expect(await countLockedBytes(path, range)).toBe(0);
});

test("a refused attempt leaves no descriptor open", async () => {
  const lock = await mustLock(0, 1);
  const open = async () =>
    (await Array.fromAsync(new Bun.Glob("*").scan({ cwd: "/proc/self/fd", onlyFiles: false }))).length;
  const before = await open();
  for (let count = 0; count < 50; count++) await tryLockBytes(path, { start: 0, length: 1 });
  expect(await open()).toBeLessThan(before + 10);
  await lock.release();
});
