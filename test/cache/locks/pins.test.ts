import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CacheFolder, hashOf, openCacheFolder } from "../../../src/cache/cache-folder.ts";
import { allPins, pin, pinsOf } from "../../../src/cache/locks/pins.ts";
import { startLockUser } from "./lock-user.ts";

const path = "/cache/host/a.iso";
const otherPath = "/cache/host/b.iso";

let folder: CacheFolder;
beforeEach(async () => {
  folder = await openCacheFolder(await mkdtemp(join(tmpdir(), "pins-")));
});
afterEach(() => rm(folder.directory, { recursive: true }));

function files(): Promise<string[]> {
  return readdir(folder.pinsFolder);
}

/** A file as a process leaves it that dies while it makes a pin. */
async function leaveUnfinished(ageMs: number): Promise<string> {
  const name = `${hashOf(path)}-1-0123456789abcdef.new`;
  await writeFile(join(folder.pinsFolder, name), "");
  const time = new Date(Date.now() - ageMs);
  await utimes(join(folder.pinsFolder, name), time, time);
  return name;
}

describe("a pin", () => {
  test("tells who uses which asset, until it is released", async () => {
    const first = await pin(folder, path, "slot 1, job 42");
    const second = await pin(folder, path, "slot 2, job 43");
    const other = await pin(folder, otherPath, "cache verify");
    const { pid } = process;
    expect(await pinsOf(folder, otherPath)).toEqual([{ path: otherPath, pid, holder: "cache verify" }]);
    expect((await pinsOf(folder, path)).map(({ holder }) => holder).sort()).toEqual([
      "slot 1, job 42",
      "slot 2, job 43",
    ]);
    expect(await allPins(folder)).toHaveLength(3);
    await first.release();
    expect(await pinsOf(folder, path)).toEqual([{ path, pid, holder: "slot 2, job 43" }]);
    await Promise.all([second.release(), other.release()]);
    expect(await files()).toEqual([]);
  });

  test("released twice leaves the pins of others alone", async () => {
    const first = await pin(folder, path, "first");
    await first.release();
    await using _ = await pin(folder, path, "second");
    await first.release();
    expect(await pinsOf(folder, path)).toHaveLength(1);
  });

  test("of another process counts as long as that lives; then whoever looks removes its file", async () => {
    await using holder = startLockUser(folder, "pin", path, "slot 7, job 1");
    await holder.untilReady();
    const pins = [{ path, pid: holder.pid, holder: "slot 7, job 1" }];
    expect(await pinsOf(folder, path)).toEqual(pins);
    expect(await allPins(folder)).toEqual(pins);
    await holder.kill();
    expect(await pinsOf(folder, otherPath)).toEqual([]);
    expect(await files()).toHaveLength(1);
    expect(await pinsOf(folder, path)).toEqual([]);
    expect(await files()).toEqual([]);
  });

  test("whose file cannot be read is a pin of the asset in its name, by somebody unknown", async () => {
    await using _ = await pin(folder, path, "slot 1");
    const file = join(folder.pinsFolder, (await files())[0]!);
    for (const content of ["", "{", '{"path":1}', "x".repeat(100_000)]) {
      await truncate(file);
      await writeFile(file, content);
      expect(await pinsOf(folder, path)).toEqual([{ path, pid: process.pid, holder: "unknown" }]);
      expect(await allPins(folder)).toEqual([{ path: "unknown", pid: process.pid, holder: "unknown" }]);
    }
    expect(await pinsOf(folder, otherPath)).toEqual([]);
  });

  test("holds a path and a holder with whatever is in them", async () => {
    const odd = `/cache/host/ä "quoted"\n${"x".repeat(4000)}`;
    await using _ = await pin(folder, odd, "slot 1\n");
    expect(await allPins(folder)).toEqual([{ path: odd, pid: process.pid, holder: "slot 1\n" }]);
  });

  test("that cannot be made is an error that names asset and file", async () => {
    await rm(folder.pinsFolder, { recursive: true });
    await expect(pin(folder, path, "x")).rejects.toThrow(
      /Cannot pin \/cache\/host\/a.iso by .*pins\/.*ENOENT/,
    );
    await expect(allPins(folder)).rejects.toThrow(/Cannot tell which assets are in use: ENOENT/);
  });

  test("is a complete file as soon as it has its name", async () => {
    await using _ = await pin(folder, path, "slot 1");
    const [name] = await files();
    expect(name).toMatch(new RegExp(`^${hashOf(path)}-${process.pid}-[0-9a-f]{16}$`));
    expect(JSON.parse(await readFile(join(folder.pinsFolder, name!), "utf8")).path).toBe(path);
  });
});

describe("a pin that was never finished", () => {
  test("is none; young, it is left to whoever makes it", async () => {
    const name = await leaveUnfinished(1_000);
    expect(await pinsOf(folder, path)).toEqual([]);
    expect(await files()).toEqual([name]);
  });

  test("is removed when it is old", async () => {
    await leaveUnfinished(120_000);
    expect(await allPins(folder)).toEqual([]);
    expect(await files()).toEqual([]);
  });
});

test("no pin is lost to those who look all the time, in other processes and here", async () => {
  const lookers = [1, 2].map(() => startLockUser(folder, "look", path));
  await Promise.all(lookers.map((looker) => looker.untilReady()));
  const rounds = 10;
  const parallel = 20;
  for (let round = 0; round < rounds; round++) {
    const pins = await Promise.all(
      Array.from({ length: parallel }, async (_, index) => {
        const held = await pin(folder, path, `${index}`);
        expect((await pinsOf(folder, path)).some(({ holder }) => holder === `${index}`)).toBe(true);
        return held;
      }),
    );
    expect(new Set((await allPins(folder)).map(({ holder }) => holder)).size).toBe(parallel);
    await Promise.all(pins.map((held) => held.release()));
  }
  expect(await files()).toEqual([]);
  await Promise.all(lookers.map((looker) => looker.kill()));
}, 20_000);

test("pins of processes that are killed while others look and pin are gone, those of the living stay", async () => {
  await using looker = startLockUser(folder, "look", path);
  await using living = startLockUser(folder, "pin", path, "living");
  const dying = [1, 2, 3].map(() => startLockUser(folder, "pin", path, "dying"));
  await Promise.all([looker, living, ...dying].map((user) => user.untilReady()));
  await Promise.all(dying.map((user) => user.kill()));
  expect((await pinsOf(folder, path)).map(({ holder }) => holder)).toEqual(["living"]);
}, 20_000);
