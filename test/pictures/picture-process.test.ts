import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir, readFile, stat, symlink, truncate } from "node:fs/promises";
import { maxPictureBytes } from "../../src/pictures/plain-png.ts";
import { openInside } from "../../src/results/pool-file.ts";
import { makeFifo, TemporaryPool } from "../results/temporary-pool.ts";
import { decodePng } from "../support/decode-png.ts";
import { diceOf, makePng } from "../support/make-png.ts";
import { RunningPictureProcess } from "./running-picture-process.ts";

// It lets everything else go first, on a busy machine for seconds.
setDefaultTimeout(30_000);

const kind = { width: 60, height: 40, colourType: 2, depth: 8, texture: "few values" } as const;
const small = makePng(kind, diceOf(1));
/** Takes a while. */
const big = makePng({ ...kind, width: 800, height: 600 }, diceOf(2));
const copy = "copies/1.png";

// Most of what is asked for leaves nothing behind in the process: one serves many tests.
let running: RunningPictureProcess;
beforeAll(() => {
  running = new RunningPictureProcess();
});
afterAll(() => running[Symbol.asyncDispose]());

async function openPool(files: Readonly<Record<string, unknown>> = {}): Promise<TemporaryPool> {
  const pool = await TemporaryPool.make({ "testresults/a.png": small, ...files });
  await mkdir(pool.path("copies"));
  return pool;
}

test("a smaller copy of the same pixels is where it was asked for; the picture is as it was", async () => {
  await using pool = await openPool();
  const answer = await running.answerTo({ pool: pool.directory, name: "testresults/a.png", copy });
  const smaller = await readFile(pool.path(copy));
  await using picture = await openInside(pool.directory, "testresults/a.png");
  expect(answer).toEqual({
    id: answer.id,
    outcome: "smaller",
    bytesBefore: small.length,
    bytesAfter: smaller.length,
    version: picture!.version,
    inode: picture!.inode,
  });
  expect(smaller.length).toBeLessThan(small.length);
  expect(decodePng(smaller)).toEqual(decodePng(small));
  expect((await stat(pool.path(copy))).mode & 0o777).toBe(0o600);
  expect(small.equals(await readFile(pool.path("testresults/a.png")))).toBe(true);
  expect(await readdir(pool.directory, { recursive: true }).then((names) => names.sort())).toEqual([
    "copies",
    "copies/1.png",
    "testresults",
    "testresults/a.png",
  ]);
});

test("the answers come as they are ready", async () => {
  await using pool = await openPool({ "big.png": big });
  const first = running.request({ pool: pool.directory, name: "big.png", copy });
  const second = running.request({ pool: pool.directory, name: "testresults/a.png", copy: "copies/2.png" });
  expect((await running.answer()).id).toBe(second);
  expect(await running.answer()).toMatchObject({ id: first, outcome: "smaller" });
});

test("requests may arrive in pieces, and several at once", async () => {
  await using pool = await openPool();
  const line = (id: number) =>
    `${JSON.stringify({ id, pool: pool.directory, name: "testresults/a.png", copy: `copies/${id}.png` })}\n`;
  const text = line(1001) + line(1002) + line(1003);
  running.write(text.slice(0, 20));
  await Bun.sleep(20);
  running.write(text.slice(20));
  const ids = [await running.answer(), await running.answer(), await running.answer()].map(({ id }) => id);
  expect(ids.sort()).toEqual([1001, 1002, 1003]);
});

const traps: Readonly<Record<string, (pool: TemporaryPool) => Promise<unknown>>> = {
  "nothing at all": async () => {},
  "a link out of the pool": (pool) => symlink(`${pool.outside}/a.png`, pool.path("trap.png")),
  "a link to a picture": (pool) => symlink("testresults/a.png", pool.path("trap.png")),
  "a FIFO": (pool) => makeFifo(pool.path("trap.png")),
  "a folder": (pool) => mkdir(pool.path("trap.png")),
  "a file that is far too big": async (pool) => {
    await pool.write({ "trap.png": small });
    await truncate(pool.path("trap.png"), maxPictureBytes + 1);
  },
  "no picture": (pool) => pool.write({ "trap.png": "text" }),
  "a picture that is being written": (pool) => pool.write({ "trap.png": small.subarray(0, 200) }),
};
test.each(Object.entries(traps))("kept, with a word on why: %s", async (_, setUp) => {
  await using pool = await openPool({ "../outside/a.png": small });
  await setUp(pool);
  const answer = await running.answerTo({ pool: pool.directory, name: "trap.png", copy });
  expect(answer).toMatchObject({ outcome: "kept", why: expect.stringContaining("trap.png") });
  expect(answer.bytesAfter).toBe(answer.bytesBefore);
  expect(await readdir(pool.path("copies"))).toEqual([]);
});

test("a kept picture that could be read is told with its version", async () => {
  await using pool = await openPool({ "a.png": "text" });
  await using picture = await openInside(pool.directory, "a.png");
  const { version, inode } = picture!;
  const answer = await running.answerTo({ pool: pool.directory, name: "a.png", copy });
  expect(answer).toMatchObject({ outcome: "kept", version, inode, bytesBefore: 4, bytesAfter: 4 });
});

test("a copy never goes through a link, over a file, or where there is no folder", async () => {
  await using pool = await openPool();
  await pool.write({ "copies/taken.png": "mine" });
  await symlink(pool.outside, pool.path("out"));
  await symlink("new.png", pool.path("copies/link.png"));
  for (const wrong of [
    "out/1.png",
    "copies/link.png",
    "copies/taken.png",
    "none/1.png",
    "../outside/1.png",
    "copies",
  ])
    expect(
      await running.answerTo({ pool: pool.directory, name: "testresults/a.png", copy: wrong }),
    ).toMatchObject({ outcome: "kept", why: expect.any(String), bytesAfter: small.length });
  expect(await readdir(pool.outside)).toEqual(["secret"]);
  expect(await readdir(pool.path("copies")).then((names) => names.sort())).toEqual(["link.png", "taken.png"]);
  expect(await readFile(pool.path("copies/taken.png"), "utf8")).toBe("mine");
});

test("a pool that has gone is no reason to end", async () => {
  await using pool = await openPool();
  const request = { pool: `${pool.directory}-gone`, name: "testresults/a.png", copy };
  expect(await running.answerTo(request)).toMatchObject({ outcome: "kept" });
  expect(await running.answerTo({ pool: pool.directory, name: "testresults/a.png", copy })).toMatchObject({
    outcome: "smaller",
  });
});

test("of a copy that the disk has no room for nothing is left", async () => {
  await using pool = await openPool({
    "noise.png": makePng({ ...kind, texture: "few values", width: 300 }, diceOf(3)),
  });
  const folder = pool.path("copies");
  const script = `mount -t tmpfs -o size=4k tmpfs '${folder}' && "$@" && ls -A '${folder}' >&2`;
  const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  await using full = new RunningPictureProcess(["unshare", "--mount", ...asRoot, "sh", "-c", script, "sh"]);
  const answer = await full.answerTo({ pool: pool.directory, name: "noise.png", copy });
  expect(answer).toMatchObject({ outcome: "kept", why: expect.stringContaining("ENOSPC") });
  expect(await full.end()).toEqual({ exitCode: 0, answers: [], stderr: "" });
});

test("it gives way to everything else, with each of its threads", async () => {
  await using pool = await openPool();
  await running.answerTo({ pool: pool.directory, name: "testresults/a.png", copy });
  const own = `/proc/${running.child.pid}`;
  const threads = await readdir(`${own}/task`);
  const niceValues = await Promise.all(threads.map((thread) => niceValue(`${own}/task/${thread}/stat`)));
  expect(niceValues.length).toBeGreaterThan(3);
  expect(niceValues.filter((nice) => nice !== 19)).toEqual([]);
  expect(await readFile(`${own}/oom_score_adj`, "utf8")).toBe("500\n");
  // Only kernels that group sessions have it.
  const group = await readFile(`${own}/autogroup`, "utf8").catch(() => "nice 19\n");
  expect(group).toEndWith("nice 19\n");
});

async function niceValue(statFile: string): Promise<number> {
  const text = await readFile(statFile, "utf8");
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[16]);
}

test("it ends when its input does, whatever it is doing, and says nothing more", async () => {
  await using pool = await openPool({ "big.png": big });
  await using busy = new RunningPictureProcess();
  await busy.answerTo({ pool: pool.directory, name: "testresults/a.png", copy });
  for (const name of ["copies/2.png", "copies/3.png"])
    busy.request({ pool: pool.directory, name: "big.png", copy: name });
  // What is asked for last is answered first, with the big ones under way.
  expect(await busy.answerTo({ pool: pool.directory, name: "none", copy })).toMatchObject({
    outcome: "kept",
  });
  const start = performance.now();
  expect(await busy.end()).toEqual({ exitCode: 0, answers: [], stderr: "" });
  expect(performance.now() - start).toBeLessThan(1000);
});

test.each([
  ["no JSON", "no JSON\n"],
  ["half a request", '{"id":1}\n'],
  ["an empty line", "\n"],
  ["a line without end", "x".repeat(100_000)],
])("what is no request ends it with a word on why: %s", async (_, text) => {
  await using misled = new RunningPictureProcess();
  misled.write(text);
  expect(await misled.child.exited).toBe(1);
  const { answers, stderr } = await misled.end();
  expect(answers).toEqual([]);
  expect(stderr).toStartWith("Not a request for the picture process: ");
});
