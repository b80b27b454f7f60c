import { expect, test } from "bun:test";
import { appendFile, mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { watchPictures } from "../../src/pictures/watch-pictures.ts";
import { makeFifo, TemporaryPool } from "../results/temporary-pool.ts";
import { recordingContext } from "../results/web-ui-double.ts";

class PlayedWatch implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly context;
  private readonly ending = new AbortController();
  private readonly waits = new Set<() => void>();
  private readonly watching: Promise<void>;

  constructor(
    readonly pool: TemporaryPool,
    { isNewJob = true, settleMs = 40 },
  ) {
    this.context = recordingContext(this.ending.signal);
    const onPicture = (name: string) => {
      this.seen.push(name);
      for (const look of this.waits) look();
    };
    const { directory: poolDirectory } = pool;
    this.watching = watchPictures(
      { poolDirectory, isNewJob, onPicture, settleMs, lookIntervalMs: 20 },
      this.context,
    );
  }

  static async of(
    files: Readonly<Record<string, unknown>> = {},
    options: { readonly isNewJob?: boolean; readonly settleMs?: number } = {},
  ): Promise<PlayedWatch> {
    return new PlayedWatch(await TemporaryPool.make(files), options);
  }

  /** Resolves when these have been told, in any order. */
  async until(...names: string[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => names.every((name) => this.seen.includes(name)) && resolve();
    this.waits.add(look);
    look();
    await promise.finally(() => this.waits.delete(look));
  }

  /** It watches the folder by now: pictures in it are told. */
  async begun(folder = "testresults"): Promise<void> {
    for (let count = 0; this.seen.length === 0; count++) {
      await this.pool.write({ [`${folder}/begun-${count}.png`]: "" });
      await Bun.sleep(10);
    }
    await this.pool.write({ [`${folder}/begun.png`]: "" });
    await this.until(`${folder}/begun.png`);
    this.seen.splice(0);
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await this.watching;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ending.abort();
    await this.watching;
    await this.pool[Symbol.asyncDispose]();
  }
}

test("pictures and thumbnails are told, also those that came before the folder was noticed", async () => {
  await using watch = await PlayedWatch.of();
  // The first look has found no folder.
  await Bun.sleep(10);
  const names = ["testresults/a.png", "testresults/.thumbs/a.png"];
  await watch.pool.write({ [names[0]!]: "a", [names[1]!]: "t", "testresults/result-a.json": {} });
  await watch.until(...names);
  await watch.pool.write({ "testresults/b.png": "b", "testresults/.thumbs/b.png": "t" });
  await watch.until("testresults/b.png", "testresults/.thumbs/b.png");
  expect(watch.seen.toSorted()).toEqual([
    "testresults/.thumbs/a.png",
    "testresults/.thumbs/b.png",
    "testresults/a.png",
    "testresults/b.png",
  ]);
});

const there = { "testresults/a.png": "a", "testresults/.thumbs/a.png": "t" };

test("what is there is told", async () => {
  await using watch = await PlayedWatch.of(there);
  await watch.until(...Object.keys(there));
});

test("what is there of an older job is not told", async () => {
  await using watch = await PlayedWatch.of(there, { isNewJob: false });
  await watch.begun();
  await watch.begun("testresults/.thumbs");
  await watch.pool.write({ "testresults/.thumbs/b.png": "b" });
  await watch.until("testresults/.thumbs/b.png");
  expect(watch.seen).toEqual(["testresults/.thumbs/b.png"]);
});

test("a picture that is still being written is told once, when nothing is written any more", async () => {
  await using watch = await PlayedWatch.of({ "testresults/other.txt": "" }, { settleMs: 300 });
  await watch.begun();
  const path = watch.pool.path("testresults/slow.png");
  await writeFile(path, "");
  for (let count = 0; count < 20; count++) {
    await Bun.sleep(5);
    await appendFile(path, "x");
  }
  expect(watch.seen).toEqual([]);
  await watch.until("testresults/slow.png");
  await watch.pool.write({ "testresults/next.png": "" });
  await watch.until("testresults/next.png");
  expect(watch.seen).toEqual(["testresults/slow.png", "testresults/next.png"]);
});

test("a picture that is written again is told again", async () => {
  await using watch = await PlayedWatch.of({ "testresults/other.txt": "" });
  await watch.begun();
  await watch.pool.write({ "testresults/a.png": "a" });
  await watch.until("testresults/a.png");
  watch.seen.splice(0);
  await watch.pool.write({ "testresults/a.png": "b" });
  await watch.until("testresults/a.png");
});

test("a folder that takes the place of another is watched like that", async () => {
  await using watch = await PlayedWatch.of({ "testresults/old.png": "" });
  await watch.begun();
  await rm(watch.pool.path("testresults"), { recursive: true });
  await watch.pool.write({ "testresults/a.png": "a", "testresults/.thumbs/a.png": "a" });
  await watch.until("testresults/a.png", "testresults/.thumbs/a.png");
});

test("a folder that takes the place of one without pictures is watched like that", async () => {
  await using watch = await PlayedWatch.of({ "testresults/.thumbs/old.png": "" });
  await watch.begun();
  const folder = watch.pool.path("testresults");
  for (const name of await readdir(folder)) if (name !== ".thumbs") await rm(`${folder}/${name}`);
  await rm(`${folder}/.thumbs/old.png`);
  await watch.until("testresults/begun.png", "testresults/.thumbs/old.png");
  await rm(folder, { recursive: true });
  await watch.pool.write({ "testresults/a.png": "a", "testresults/.thumbs/a.png": "a" });
  await watch.until("testresults/a.png", "testresults/.thumbs/a.png");
});

test("a new folder of thumbnails is watched in place of the old one", async () => {
  await using watch = await PlayedWatch.of({ "testresults/.thumbs/old.png": "" });
  await watch.begun();
  await rename(watch.pool.path("testresults/.thumbs"), watch.pool.path("testresults/moved"));
  await watch.pool.write({ "testresults/.thumbs/a.png": "a" });
  await watch.until("testresults/.thumbs/a.png");
});

test("a link or a FIFO in place of the folder is not followed, and only debugging hears of it", async () => {
  for (const trap of ["link", "fifo"]) {
    await using watch = await PlayedWatch.of();
    const path = watch.pool.path("testresults");
    if (trap === "link") await symlink(watch.pool.outside, path);
    else await makeFifo(path);
    await watch.ended();
    expect(watch.context.lines).toHaveLength(1);
    expect(watch.context.lines[0]).toStartWith(
      "debug Pictures are noticed only when they are to be uploaded",
    );
    expect(watch.seen).toEqual([]);
  }
});

test("a link in place of the thumbnails is not followed", async () => {
  await using watch = await PlayedWatch.of({ "testresults/other.txt": "" });
  await watch.begun();
  await mkdir(watch.pool.path("elsewhere"));
  await symlink(watch.pool.path("elsewhere"), watch.pool.path("testresults/.thumbs"));
  await watch.ended();
  await watch.pool.write({ "elsewhere/a.png": "a" });
  await Bun.sleep(20);
  expect(watch.seen).toEqual([]);
});
