import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/ops/log.ts";
import { emptyPoolDirectory } from "../../src/slot/pool-directory.ts";
import { lockPool, type PoolLock } from "../../src/slot/pool-lock.ts";
import { takeStockLock } from "../support/stock-lock.ts";

let folder = "";
let lock: PoolLock;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pool-directory-"));
  lock = await lockPool(join(folder, "pool/1"));
});
afterEach(async () => {
  await lock.release();
  await rm(folder, { recursive: true });
});

const unlocked = { findProblem: async () => undefined, release: async () => {} };

describe("emptying a pool directory", () => {
  test("removes what a job left, keeps dot files and the list of packages", async () => {
    await mkdir(join(lock.poolDirectory, "testresults/.thumbs"), { recursive: true });
    for (const name of ["vars.json", "testresults/a.png", ".hidden", "worker_packages.txt"])
      await writeFile(join(lock.poolDirectory, name), "x");
    await emptyPoolDirectory(lock, 1, silentLog);
    expect((await readdir(lock.poolDirectory)).sort()).toEqual([".hidden", ".locked", "worker_packages.txt"]);
  });

  test("removes links, not what they point at", async () => {
    const outside = join(folder, "outside");
    await mkdir(outside);
    await writeFile(join(outside, "precious"), "x");
    await symlink(outside, join(lock.poolDirectory, "needles"));
    await emptyPoolDirectory(lock, 1, silentLog);
    expect(await readdir(lock.poolDirectory)).toEqual([".locked"]);
    expect(await readdir(outside)).toEqual(["precious"]);
  });

  test("removes folders that the job made read-only", async () => {
    const folder = join(lock.poolDirectory, "read-only/deep");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "file"), "x");
    for (const path of [folder, join(folder, "..")]) await chmod(path, 0o555);
    await emptyPoolDirectory(lock, 1, silentLog);
    expect(await readdir(lock.poolDirectory)).toEqual([".locked"]);
  });

  test("keeps the pid file only of a qemu that runs (field lesson 4)", async () => {
    // This process runs, but is no qemu.
    await writeFile(join(lock.poolDirectory, "qemu.pid"), `${process.pid}\n`);
    await emptyPoolDirectory(lock, 1, silentLog);
    expect(await readdir(lock.poolDirectory)).toEqual([".locked"]);
  });

  test("is refused when somebody else has the lock: it is their pool", async () => {
    await rm(lock.poolDirectory, { recursive: true });
    await mkdir(lock.poolDirectory);
    const stock = await takeStockLock(lock.poolDirectory);
    await writeFile(join(lock.poolDirectory, "vars.json"), "x");
    await expect(emptyPoolDirectory(lock, 1, silentLog)).rejects.toThrow("Unable to lock pool directory");
    expect((await readdir(lock.poolDirectory)).sort()).toEqual([".locked", "vars.json"]);
    await stock.release();
  });

  test.each(["", "/", "pool/1", "/tmp", "/var/lib/openqa/pool/../pool/1", "/var/lib/openqa/pool/2"])(
    "refuses %p as the pool of slot 1 (field lesson 7)",
    async (poolDirectory) => {
      const emptying = emptyPoolDirectory({ ...unlocked, poolDirectory }, 1, silentLog);
      await expect(emptying).rejects.toThrow("not a pool directory");
    },
  );
});
