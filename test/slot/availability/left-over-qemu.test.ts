import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endStalePidFile, runningQemu } from "../../../src/slot/availability/left-over-qemu.ts";
import { startFakeQemu } from "../fake-qemu.ts";

let folder = "";
let pool = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "left-over-qemu-"));
  pool = join(folder, "pool");
  await mkdir(pool);
});
afterEach(() => rm(folder, { recursive: true }));

function write(text: string): Promise<void> {
  return writeFile(join(pool, "qemu.pid"), text);
}

describe("qemu.pid (field lesson 4)", () => {
  test("of a qemu that runs names it and stays", async () => {
    await using qemu = await startFakeQemu(folder);
    await write(`${qemu.pid}\n`);
    expect(await runningQemu(pool)).toBe(qemu.pid);
    expect(await endStalePidFile(pool)).toBe(qemu.pid);
    expect(await readdir(pool)).toEqual(["qemu.pid"]);
  });

  test("of a qemu whose program was updated meanwhile names it", async () => {
    await using qemu = await startFakeQemu(folder);
    await rm(join(folder, "qemu-system-fake"));
    await write(`${qemu.pid}\n`);
    expect(await endStalePidFile(pool)).toBe(qemu.pid);
  });

  test("of a qemu that has ended is removed", async () => {
    const qemu = await startFakeQemu(folder);
    await qemu.end();
    await write(`${qemu.pid}\n`);
    expect(await endStalePidFile(pool)).toBeUndefined();
    expect(await readdir(pool)).toEqual([]);
  });

  // This process runs, but is no qemu.
  test.each([`${process.pid}\n`, "", "0\n", "-1\n", "nonsense\n"])("%j is stale", async (text) => {
    await write(text);
    expect(await runningQemu(pool)).toBeUndefined();
    expect(await readdir(pool)).toEqual(["qemu.pid"]);
    expect(await endStalePidFile(pool)).toBeUndefined();
    expect(await readdir(pool)).toEqual([]);
  });

  test("that is missing, a link or a FIFO names nobody", async () => {
    expect(await endStalePidFile(pool)).toBeUndefined();
    await writeFile(join(folder, "outside"), `${process.pid}\n`);
    await symlink(join(folder, "outside"), join(pool, "qemu.pid"));
    expect(await endStalePidFile(pool)).toBeUndefined();
    await rm(join(pool, "qemu.pid"));
    await Bun.spawn(["mkfifo", join(pool, "qemu.pid")]).exited;
    expect(await endStalePidFile(pool)).toBeUndefined();
  });
});
