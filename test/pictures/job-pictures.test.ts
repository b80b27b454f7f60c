import { expect, test } from "bun:test";
import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { JobPictures, type JobPicturesOptions } from "../../src/pictures/job-pictures.ts";
import { makeFifo, TemporaryPool } from "../results/temporary-pool.ts";
import { recordingContext } from "../results/web-ui-double.ts";
import { PlayedOrders } from "./played-orders.ts";

const png = "testresults/a.png";
const thumbnail = "testresults/.thumbs/a.png";
const never = new AbortController().signal;
const big = (letter: string) => letter.repeat(2000);

class PlayedJob implements AsyncDisposable {
  readonly optimiser = new PlayedOrders();
  readonly context = recordingContext();
  readonly stopping = new AbortController();

  private constructor(
    readonly pool: TemporaryPool,
    readonly pictures: JobPictures,
    { optimiser, context, stopping }: Pick<PlayedJob, "optimiser" | "context" | "stopping">,
  ) {
    Object.assign(this, { optimiser, context, stopping });
  }

  static async begin(
    files: Readonly<Record<string, unknown>> = {},
    options: Partial<JobPicturesOptions> = {},
  ): Promise<PlayedJob> {
    const pool = await TemporaryPool.make(files);
    const parts = {
      optimiser: new PlayedOrders(),
      context: recordingContext(),
      stopping: new AbortController(),
    };
    const { optimiser, stopping } = parts;
    const usual = {
      poolDirectory: pool.directory,
      endDelayMs: 60_000,
      isNewJob: true,
      optimiser,
      stop: stopping.signal,
    };
    const pictures = new JobPictures({ ...usual, ...options }, parts.context.log);
    return new PlayedJob(pool, pictures, parts);
  }

  smallest(inPool: string): Promise<string> {
    return this.pictures.smallest(inPool, never);
  }

  /** Names in the folder of copies. */
  async copies(): Promise<string[]> {
    return await readdir(this.pool.path(".openqa-worker/pictures"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pictures.end();
    await this.pool[Symbol.asyncDispose]();
  }
}

test("the copy goes up once it is there", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a") });
  const smallest = job.smallest(png);
  const { order, makeSmaller, isWanted } = await job.optimiser.of(png);
  expect(order).toMatchObject({ pool: job.pool.directory, name: png });
  expect(order.copy).toMatch(/^\.openqa-worker\/pictures\/[^/]+\.png$/);
  expect(isWanted).toBe(true);
  await makeSmaller();
  expect(await smallest).toBe(order.copy);
  expect(await job.smallest(png)).toBe(order.copy);
  expect(job.optimiser.orders).toHaveLength(1);
});

test("what cannot be made smaller, or breaks the optimiser, goes up as it is, and is not tried again", async () => {
  const other = "testresults/b.png";
  await using job = await PlayedJob.begin({ [png]: big("a"), [other]: big("b") });
  const smallest = [job.smallest(png), job.smallest(other)];
  const [first, second] = [await job.optimiser.of(png), await job.optimiser.of(other)];
  const why = "a.png is damaged";
  first.answer({ id: 1, version: "1", inode: 1, outcome: "kept", why, bytesBefore: 9, bytesAfter: 9 });
  second.answer(undefined);
  expect(await Promise.all(smallest)).toEqual([png, other]);
  expect(await job.smallest(png)).toBe(png);
  expect(job.optimiser.orders).toHaveLength(2);
  expect(job.context.lines).toEqual(["debug A picture goes out as it is: a.png is damaged"]);
});

test("a picture that was written again meanwhile is optimised again", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a") });
  const smallest = job.smallest(png);
  const before = await job.optimiser.of(png);
  await before.makeSmaller();
  await job.pool.write({ [png]: big("b") });
  const again = job.smallest(png);
  const after = await job.optimiser.of(png, 1);
  await after.makeSmaller();
  expect(await again).toBe(after.order.copy);
  expect([before.order.copy, after.order.copy]).toContain(await smallest);
  await job.pictures.end();
});

test("an upload that waits for a picture waits for the new one when that is written again", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a") });
  const first = job.smallest(png);
  await job.optimiser.of(png);
  await job.pool.write({ [png]: big("b") });
  const second = job.smallest(png);
  await (await job.optimiser.of(png, 1)).makeSmaller();
  const { copy } = job.optimiser.orders[1]!.order;
  expect(await Promise.all([first, second])).toEqual([copy, copy]);
  expect(job.optimiser.orders[0]?.isDropped).toBe(true);
  expect(job.optimiser.orders).toHaveLength(2);
});

test("a picture that changes whenever it was optimised goes up as it is", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a") });
  const smallest = job.smallest(png);
  for (const [place, letter] of ["b", "c", "d"].entries()) {
    const { answer } = await job.optimiser.of(png, place);
    await job.pool.write({ [png]: big(letter) });
    answer({ id: 1, version: "before", inode: 1, outcome: "smaller", bytesBefore: 2000, bytesAfter: 7 });
  }
  expect(await smallest).toBe(png);
});

test("small files, files that are not there and traps go up without the optimiser", async () => {
  const [small, missing, link, fifo] = ["small", "missing", "link", "fifo"].map(
    (name) => `testresults/${name}.png`,
  );
  await using job = await PlayedJob.begin({ [small!]: "x".repeat(1023) });
  await writeFile(`${job.pool.outside}/big.png`, big("x"));
  await symlink(`${job.pool.outside}/big.png`, job.pool.path(link!));
  await makeFifo(job.pool.path(fifo!));
  for (const name of [small!, missing!, link!, fifo!]) expect(await job.smallest(name)).toBe(name);
  expect(job.optimiser.orders).toEqual([]);
});

test("of a job that an earlier start of the worker has begun, pictures that are there are not optimised before they are uploaded", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a") }, { isNewJob: false });
  for (let count = 0; job.optimiser.orders.length === 0; count++) {
    await job.pool.write({ [`testresults/new-${count}.png`]: big("b") });
    await Bun.sleep(50);
  }
  expect(job.optimiser.names).not.toContain(png);
});

test("a picture is optimised as soon as it is written; an upload that comes to wait for it makes it urgent", async () => {
  await using job = await PlayedJob.begin();
  await job.pool.write({ [png]: big("a") });
  const found = await job.optimiser.of(png);
  expect(found).toMatchObject({ order: { name: png }, isWanted: false });
  const smallest = job.smallest(png);
  await job.optimiser.of(png, 0, ({ isWanted }) => isWanted);
  await found.makeSmaller();
  expect(await smallest).toBe(found.order.copy);
  expect(job.optimiser.orders).toHaveLength(1);
}, 10_000);

test("a copy is removed when it has been uploaded, and when its picture has changed", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a"), [thumbnail]: big("t") });
  const smallest = [job.smallest(png), job.smallest(thumbnail)];
  for (const name of [png, thumbnail]) await (await job.optimiser.of(name)).makeSmaller();
  await Promise.all(smallest);
  expect(await job.copies()).toHaveLength(2);
  job.pictures.uploaded(png);
  await job.pool.write({ [thumbnail]: big("u") });
  const again = job.smallest(thumbnail);
  const { order, makeSmaller } = await job.optimiser.of(thumbnail, 1);
  await makeSmaller();
  await again;
  while ((await job.copies()).length > 1) await Bun.sleep(1);
  expect(await job.copies()).toEqual([order.copy.split("/").at(-1)!]);
});

test("when isotovideo has ended, there is one deadline for all that is not ready", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a"), [thumbnail]: big("t") }, { endDelayMs: 50 });
  const [ready, late] = [job.smallest(png), job.smallest(thumbnail)];
  const first = await job.optimiser.of(png);
  const second = await job.optimiser.of(thumbnail);
  const startMs = performance.now();
  job.pictures.isotovideoEnded();
  await first.makeSmaller();
  expect(await ready).toBe(first.order.copy);
  expect(await late).toBe(thumbnail);
  expect(performance.now() - startMs).toBeGreaterThan(45);
  expect(second.isDropped).toBe(true);
  await job.pool.write({ "testresults/b.png": big("b") });
  expect(await job.smallest("testresults/b.png")).toBe("testresults/b.png");
  expect(await job.smallest(png)).toBe(first.order.copy);
  expect(job.optimiser.orders).toHaveLength(2);
  await job.pictures.end();
  expect(job.context.lines).toEqual([
    "info Pictures that went out as they are, for lack of time at the end: 2",
    "debug Pictures made smaller: 1, 2000 to 7 bytes",
  ]);
});

test("when isotovideo has ended, nothing is waited for once nothing becomes ready any more", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a"), [thumbnail]: big("t") }, { stallMs: 100 });
  const smallest = [job.smallest(png), job.smallest(thumbnail)];
  const { makeSmaller, order } = await job.optimiser.of(png);
  await job.optimiser.of(thumbnail);
  job.pictures.isotovideoEnded();
  await makeSmaller();
  expect(await Promise.all(smallest)).toEqual([order.copy, thumbnail]);
});

test("with a delay of 0 nothing is waited for from the end of isotovideo on", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a"), [thumbnail]: big("t") }, { endDelayMs: 0 });
  const smallest = job.smallest(png);
  await job.optimiser.of(png);
  job.pictures.isotovideoEnded();
  expect(await smallest).toBe(png);
  expect(await job.smallest(thumbnail)).toBe(thumbnail);
});

test("when the worker is told to stop, nothing is waited for", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a"), [thumbnail]: big("t") });
  const smallest = job.smallest(png);
  await job.optimiser.of(png);
  job.stopping.abort();
  expect(await smallest).toBe(png);
  expect(await job.smallest(thumbnail)).toBe(thumbnail);
  expect(job.optimiser.orders).toHaveLength(1);
});

test("told to stop before it began, it optimises nothing", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a") }, { stop: AbortSignal.abort() });
  expect(await job.smallest(png)).toBe(png);
  expect(job.optimiser.orders).toEqual([]);
});

test("an upload that is aborted waits no longer; the picture goes on being optimised", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a") });
  const uploading = new AbortController();
  const smallest = job.pictures.smallest(png, uploading.signal);
  const { makeSmaller, order } = await job.optimiser.of(png);
  uploading.abort(new Error("the run has ended"));
  expect(smallest).rejects.toThrow("the run has ended");
  await makeSmaller();
  expect(await job.smallest(png)).toBe(order.copy);
});

test("what an earlier job has left in the folder of copies is gone, a link in its place is not followed", async () => {
  await using pool = await TemporaryPool.make({
    ".openqa-worker/job.json": {},
    "kept/file": "",
    [png]: big("a"),
  });
  const folder = pool.path(".openqa-worker/pictures");
  const begin = async () => {
    const options = {
      poolDirectory: pool.directory,
      optimiser: new PlayedOrders(),
      endDelayMs: 0,
      isNewJob: true,
      stop: never,
    };
    const pictures = new JobPictures(options, recordingContext().log);
    const smallest = pictures.smallest(png, never);
    await options.optimiser.of(png);
    const names = await readdir(folder);
    await pictures.end();
    await smallest;
    return names;
  };
  await pool.write({ ".openqa-worker/pictures/1.png": "left" });
  expect(await begin()).toEqual([]);
  await symlink(pool.path("kept"), folder);
  expect(await begin()).toEqual([]);
  expect(await readdir(pool.path("kept"))).toEqual(["file"]);
  expect(await readdir(pool.path(".openqa-worker"))).toEqual(["job.json"]);
});

test("without a place for copies all go up as they are, and the log says so", async () => {
  await using pool = await TemporaryPool.make({ [png]: big("a") });
  await symlink(pool.outside, pool.path(".openqa-worker"));
  const context = recordingContext();
  const options = {
    poolDirectory: pool.directory,
    optimiser: new PlayedOrders(),
    endDelayMs: 0,
    isNewJob: true,
    stop: never,
  };
  const pictures = new JobPictures(options, context.log);
  expect(await pictures.smallest(png, never)).toBe(png);
  await pictures.end();
  expect(options.optimiser.orders).toEqual([]);
  expect(context.lines).toHaveLength(1);
  expect(context.lines[0]).toStartWith("warn Pictures go out as they are: no place for smaller ones");
  expect(await readdir(pool.outside)).toEqual(["secret"]);
});

test("a copy that is made too late for the end is gone with the next job", async () => {
  await using job = await PlayedJob.begin({ [png]: big("a") });
  void job.smallest(png);
  const { order } = await job.optimiser.of(png);
  await job.pictures.end();
  await mkdir(job.pool.path(".openqa-worker/pictures"));
  await writeFile(job.pool.path(order.copy), "late");
  const { directory } = job.pool;
  const next = {
    poolDirectory: directory,
    isNewJob: true,
    optimiser: job.optimiser,
    endDelayMs: 0,
    stop: never,
  };
  await new JobPictures(next, job.context.log).end();
  expect(await readdir(job.pool.path(".openqa-worker"))).toEqual([]);
  await rm(job.pool.path("testresults"), { recursive: true });
});
