import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPackages, PackageListError, placePackages } from "../../src/slot/package-list.ts";
import { lockPool, type PoolLock } from "../../src/slot/pool-lock.ts";
import { until } from "../isotovideo/pool.ts";
import { recordingContext } from "../job/job-host.ts";
import { livingDescendants } from "../support/born-processes.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "package-list-"));
});
afterEach(() => rm(folder, { recursive: true }));

function find(command: string, signal?: AbortSignal): Promise<string> {
  return findPackages(command, { env: { PATH: "/usr/bin:/bin" }, cwd: folder }, recordingContext(signal));
}

describe("PACKAGES_CMD", () => {
  test("gives what it writes, without its warnings", async () => {
    expect(await find("echo os-autoinst-1; (echo a warning >&2); echo qemu-2")).toBe(
      "os-autoinst-1\nqemu-2\n",
    );
  });

  test("is run by a shell where the worker was started", async () => {
    await writeFile(join(folder, "list"), "b\na\n");
    expect(await find("sort <list | head -n 1")).toBe("a\n");
  });

  test.each([
    ["exit 3", "exit code 3"],
    ["echo some; no-such-program 2>/dev/null", "exit code 127"],
    ["kill -KILL $$", "killed by signal SIGKILL"],
  ])("%j: that it failed is told", async (command, why) => {
    const finding = find(command);
    await expect(finding).rejects.toThrow(`The PACKAGES_CMD command could not be executed: ${why}`);
    await expect(finding).rejects.toMatchObject({ exitCode: 1 });
  });

  test("has to write something", async () => {
    const finding = find("true");
    await expect(finding).rejects.toBeInstanceOf(PackageListError);
    await expect(finding).rejects.toThrow("The PACKAGES_CMD command doesn't return any data");
  });

  test("ends with the worker", async () => {
    const stop = new AbortController();
    const finding = find("echo >started; exec sleep 60", stop.signal);
    const started = Bun.file(join(folder, "started"));
    await until("it has started", async () => (await started.exists()) || undefined);
    stop.abort(new Error("stopped"));
    await expect(finding).rejects.toThrow("stopped");
    expect(await livingDescendants()).toEqual([]);
  });
});

describe("the list in a pool", () => {
  let lock: PoolLock;
  let path = "";
  beforeEach(async () => {
    lock = await lockPool(join(folder, "pool/1"));
    path = join(lock.poolDirectory, "worker_packages.txt");
  });
  afterEach(() => lock.release());

  async function expectPlaced(): Promise<void> {
    await placePackages(lock, "qemu-2\n");
    expect(await readFile(path, "utf8")).toBe("qemu-2\n");
    expect((await readdir(lock.poolDirectory)).sort()).toEqual([".locked", "worker_packages.txt"]);
  }

  test("replaces an older one", async () => {
    await writeFile(path, "a longer list than the new one\n");
    await expectPlaced();
  });

  test("does not go through a link that a job has left", async () => {
    await writeFile(join(folder, "outside"), "keep");
    await symlink(join(folder, "outside"), path);
    await expectPlaced();
    expect(await readFile(join(folder, "outside"), "utf8")).toBe("keep");
  });

  test("takes the place of a folder that a job has left", async () => {
    await mkdir(join(path, "deep"), { recursive: true });
    await expectPlaced();
  });
});
