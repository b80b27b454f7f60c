import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SlotTakenError } from "../../src/errors.ts";
import { supervisorByte } from "../../src/isotovideo/pool-state.ts";
import { OfdLock, tryLockBytes } from "../../src/process/ofd-lock.ts";
import { lockPool, supervisorHolds } from "../../src/slot/pool-lock.ts";
import { takeStockLock } from "../support/stock-lock.ts";

let folder: string;
let pool: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pool-lock-"));
  pool = join(folder, "pool/1");
});
afterEach(() => rm(folder, { recursive: true }));

async function refusal(): Promise<SlotTakenError> {
  const error = await lockPool(pool).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof SlotTakenError)) throw new Error(`expected a SlotTakenError, got ${error}`);
  return error;
}

describe("the lock of a pool directory", () => {
  test("makes the directory and leaves the pid and a line end", async () => {
    const lock = await lockPool(pool);
    expect(await readFile(join(pool, ".locked"), "latin1")).toBe(`${process.pid}\n`);
    await lock.release();
  });

  test("replaces what an earlier holder has left, whatever its length", async () => {
    await (await lockPool(pool)).release();
    await writeFile(join(pool, ".locked"), "1234567890\nand more\n");
    const lock = await lockPool(pool);
    expect(await readFile(join(pool, ".locked"), "latin1")).toBe(`${process.pid}\n`);
    await lock.release();
  });

  test("refuses a second holder, of the same process too, and names the first", async () => {
    const lock = await lockPool(pool);
    const error = await refusal();
    expect(error.holderPid).toBe(process.pid);
    expect(error.message).toBe(
      `Unable to lock pool directory: ${pool} already locked by process ${process.pid}`,
    );
    await lock.release();
    await (await lockPool(pool)).release();
  });

  test("does not touch the content of the file when it is refused", async () => {
    const lock = await lockPool(pool);
    await writeFile(join(pool, ".locked"), "no pid");
    expect((await refusal()).holderPid).toBeUndefined();
    expect(await readFile(join(pool, ".locked"), "latin1")).toBe("no pid");
    await lock.release();
  });

  test("keeps a stock worker out until it is released", async () => {
    const lock = await lockPool(pool);
    const refused = await takeStockLock(pool);
    expect(refused.isLocked).toBe(false);
    await refused.release();
    await lock.release();
    const stock = await takeStockLock(pool);
    expect(stock.isLocked).toBe(true);
    await stock.release();
  });

  test("is refused while a stock worker has the pool, and names it", async () => {
    await (await lockPool(pool)).release();
    const stock = await takeStockLock(pool);
    expect((await refusal()).holderPid).toBe(stock.pid);
    await stock.release();
    await (await lockPool(pool)).release();
  });

  test("is free again when its holder is killed", async () => {
    const source = join(import.meta.dir, "../../src/slot/pool-lock.ts");
    const script = `const { lockPool } = await import(${JSON.stringify(source)});
      await lockPool(${JSON.stringify(pool)}); console.log("locked"); setInterval(() => {}, 1000);`;
    const holder = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await holder.stdout.getReader().read();
    expect((await refusal()).holderPid).toBe(holder.pid);
    holder.kill("SIGKILL");
    await holder.exited;
    await (await lockPool(pool)).release();
  });

  test("is not handed down to children, who would keep it", async () => {
    const lock = await lockPool(pool);
    const child = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"] });
    await lock.release();
    await (await lockPool(pool)).release();
    child.kill();
    await child.exited;
  });

  test("is not taken through a symbolic link", async () => {
    await (await lockPool(pool)).release();
    await rm(join(pool, ".locked"));
    await writeFile(join(folder, "outside"), "keep");
    await symlink(join(folder, "outside"), join(pool, ".locked"));
    await expect(lockPool(pool)).rejects.toThrow("ELOOP");
    expect(await readFile(join(folder, "outside"), "utf8")).toBe("keep");
  });
});

describe("a pool that is removed under its worker", () => {
  async function remake(): Promise<void> {
    await rm(pool, { recursive: true });
    await mkdir(pool);
  }

  test("is made and locked anew, once, however many look at the same time", async () => {
    const lock = await lockPool(pool);
    expect(await lock.findProblem()).toBeUndefined();
    await rm(pool, { recursive: true });
    expect(await Promise.all([lock.findProblem(), lock.findProblem()])).toEqual([undefined, undefined]);
    expect(await readFile(join(pool, ".locked"), "latin1")).toBe(`${process.pid}\n`);
    expect((await refusal()).holderPid).toBe(process.pid);
    await lock.release();
    await (await lockPool(pool)).release();
  });

  test("and locked by somebody else is lost, until that one lets go", async () => {
    const lock = await lockPool(pool);
    await remake();
    const stock = await takeStockLock(pool);
    expect(await lock.findProblem()).toBe(
      `Unable to lock pool directory: ${pool} already locked by process ${stock.pid}`,
    );
    await stock.release();
    expect(await lock.findProblem()).toBeUndefined();
    await lock.release();
  });

  test("and that cannot be made again is lost", async () => {
    const lock = await lockPool(pool);
    await rm(pool, { recursive: true });
    await writeFile(pool, "no folder");
    expect(await lock.findProblem()).toMatch(/^Unable to lock pool directory: .*(ENOTDIR|EEXIST)/);
    await rm(pool);
    await lock.release();
  });

  test("is not locked again by a slot that has ended", async () => {
    const lock = await lockPool(pool);
    await remake();
    const looking = lock.findProblem();
    await lock.release();
    await looking;
    expect(await lock.findProblem()).toContain("has been released");
    await (await lockPool(pool)).release();
  });
});

describe("the supervisor's share of the lock", () => {
  test("is told from the worker's, keeps a stock worker out, but not the next start of ours", async () => {
    await (await lockPool(pool)).release();
    expect(await supervisorHolds(pool)).toBe(false);
    const supervisor = await tryLockBytes(join(pool, ".locked"), supervisorByte);
    if (!(supervisor instanceof OfdLock)) throw new Error("not locked");
    expect(await supervisorHolds(pool)).toBe(true);
    const stock = await takeStockLock(pool);
    expect(stock.isLocked).toBe(false);
    await stock.release();

    const lock = await lockPool(pool);
    expect(await supervisorHolds(pool)).toBe(true);
    await supervisor.release();
    expect(await supervisorHolds(pool)).toBe(false);
    await lock.release();
  });

  test("is not held in a pool that was never used", async () => {
    expect(await supervisorHolds(pool)).toBe(false);
  });
});
