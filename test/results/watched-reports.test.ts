// What a reporter does for those who follow a job in a browser: posts, and news for developers.
import { expect, test } from "bun:test";
import { appendFile, symlink } from "node:fs/promises";
import { Audience } from "../../src/results/audience.ts";
import type { ReportEnd } from "../../src/results/reporter.ts";
import { Reporter } from "../../src/results/reporter.ts";
import { TemporaryPool } from "./temporary-pool.ts";
import { fileOf, recordingContext, refusal, settingsWith, WebUiDouble } from "./web-ui-double.ts";

const fixed = { worker_id: 7, cmd_srv_url: "http://localhost:20013/token", worker_hostname: "host" };
const plainPost = { ...fixed, test_execution_paused: 0 };
const names = ["boot", "shell", "extra"];
const order = names.map((name) => ({ name, category: "tests", script: `tests/${name}.pm`, flags: {} }));
const testOrder = { "testresults/test_order.json": order };
const status = (current_test: string, test_execution_paused: unknown = 0) => ({
  "autoinst-status.json": { status: "running", current_test, test_execution_paused },
});
const result = (name: string, ...details: object[]) => ({
  [`testresults/result-${name}.json`]: { result: "ok", dents: 0, details },
});
/** Nothing in these tests waits for a period of such a length. */
const longMs = 1_000_000;

interface Watched extends AsyncDisposable {
  readonly ui: WebUiDouble;
  readonly pool: TemporaryPool;
  readonly audience: Audience;
  readonly reporter: Reporter;
  run(): void;
  stop(): Promise<ReportEnd | undefined>;
}

/** A job that posts only when it is watched or somebody comes; watched, every few milliseconds. */
async function watchedJob(
  files: Readonly<Record<string, unknown>> = {},
  { intervalMs = longMs, watchedIntervalMs = longMs } = {},
): Promise<Watched> {
  const ui = new WebUiDouble();
  const pool = await TemporaryPool.make({ ...testOrder, ...status("boot"), ...files });
  const audience = new Audience();
  // The double stands for the live view handler as well.
  const webUi = { ...ui.client(), servicePortDelta: 0 };
  const settings = settingsWith({}, { intervalMs, watchedIntervalMs });
  const poolDirectory = pool.directory;
  const reporter = new Reporter({ webUi, jobId: "12", poolDirectory, settings, fixed, audience });
  const stopping = new AbortController();
  let running: Promise<ReportEnd> | undefined;
  const stop = async () => {
    stopping.abort();
    return await running;
  };
  return {
    ui,
    pool,
    audience,
    reporter,
    run: () => {
      running = reporter.run(recordingContext(stopping.signal));
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await ui[Symbol.asyncDispose]();
      await pool[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when the web UI has so many posts. */
const posted = ({ ui }: Watched, count: number) => ui.until(({ posts }) => posts.length >= count);

/** What developers were told, as "UP_TO/CURRENT IMAGES+FILES". */
const told = ({ ui }: Watched) =>
  ui.requests.flatMap(({ path, json }) => {
    if (!path.startsWith("/liveviewhandler/")) return [];
    const { upload_up_to, upload_up_to_current_module, outstanding_images, outstanding_files } = json ?? {};
    return `${upload_up_to}/${upload_up_to_current_module} ${outstanding_images}+${outstanding_files}`;
  });

const liveKeys = ["log", "serial_log", "serial_terminal", "serial_terminal_user", "screen"];
const isLive = (post: Record<string, unknown> | undefined) => liveKeys.some((key) => key in (post ?? {}));

async function showScreen(pool: TemporaryPool): Promise<void> {
  await pool.write({ "qemuscreenshot/1.png": "picture" });
  await symlink("1.png", pool.path("qemuscreenshot/last.png"));
}

test("while nobody watches, nothing of the live view is sent", async () => {
  await using job = await watchedJob({ serial0: "serial" }, { intervalMs: 5 });
  await showScreen(job.pool);
  job.run();
  await posted(job, 3);
  expect(job.ui.posts.some(isLive)).toBe(false);
  expect(await Bun.file(job.pool.path("live_log")).exists()).toBe(false);
});

test("a viewer who came before the start gets everything with the first post (field lesson 39)", async () => {
  await using job = await watchedJob({ serial0: "serial" });
  await showScreen(job.pool);
  job.audience.viewerCame();
  job.run();
  await posted(job, 1);
  expect(job.ui.posts).toEqual([
    {
      ...plainPost,
      test_order: order,
      result: { boot: { result: "running" } },
      log: {},
      serial_log: { offset: 0, data: "serial" },
      serial_terminal: {},
      serial_terminal_user: {},
      screen: { name: "1.png", png: Buffer.from("picture").toString("base64") },
    },
  ]);
});

test("the first viewer and each developer end a long wait, further viewers do not", async () => {
  await using job = await watchedJob();
  job.audience.developerCame();
  job.run();
  // News are told when the post has been answered: now it waits.
  await job.ui.until(() => told(job).length === 1);
  job.audience.viewerCame();
  await posted(job, 2);
  expect(job.ui.posts.map(isLive)).toEqual([false, true]);
  job.audience.viewerCame();
  job.audience.viewerLeft();
  job.audience.developerCame();
  await posted(job, 3);
  await job.stop();
  expect(job.ui.posts).toHaveLength(3);
});

test("a viewer who comes during a post gets another one at once", async () => {
  await using job = await watchedJob();
  job.ui.answer = ({ path }) => {
    if (path.endsWith("/status") && job.ui.posts.length === 1) job.audience.viewerCame();
    return undefined;
  };
  job.run();
  await posted(job, 2);
  expect(job.ui.posts.map(isLive)).toEqual([false, true]);
});

test("the first viewer also ends the wait after a failed post", async () => {
  await using job = await watchedJob();
  job.ui.answer = ({ path }) => (path.endsWith("/status") ? refusal(503, "away") : undefined);
  job.run();
  await posted(job, 1);
  job.audience.viewerCame();
  await posted(job, 2);
  expect(job.ui.posts.map(isLive)).toEqual([false, true]);
});

test("while somebody watches, each period brings what is new", async () => {
  await using job = await watchedJob({}, { watchedIntervalMs: 5 });
  job.audience.viewerCame();
  job.run();
  const data = () => job.ui.posts.map((post) => Object(post["log"]).data ?? "").join("");
  for (const text of ["one\n", "two\n", "three\n"]) {
    await appendFile(job.pool.path("autoinst-log.txt"), text);
    await job.ui.until(() => data().endsWith(text));
  }
  expect(data()).toBe("one\ntwo\nthree\n");
});

test("of two viewers one may leave; when both have left, the live view ends", async () => {
  await using job = await watchedJob({}, { intervalMs: 10, watchedIntervalMs: 10 });
  job.audience.viewerCame();
  job.audience.viewerCame();
  job.run();
  await posted(job, 1);
  job.audience.viewerLeft();
  await posted(job, job.ui.posts.length + 2);
  expect(isLive(job.ui.posts.at(-1))).toBe(true);
  expect(await Bun.file(job.pool.path("live_log")).exists()).toBe(true);
  job.audience.viewerLeft();
  await posted(job, job.ui.posts.length + 3);
  expect(isLive(job.ui.posts.at(-1))).toBe(false);
  expect(await Bun.file(job.pool.path("live_log")).exists()).toBe(false);
});

test.each([
  ["fails: all of it comes again", 500, [0, 0]],
  ["lacks modules: the server has got it all the same, and would delete the same picture", 490, [0, 6]],
])("a post that %s", async (_, code, offsets) => {
  await using job = await watchedJob({ serial0: "serial" }, { watchedIntervalMs: 5 });
  await showScreen(job.pool);
  job.ui.answer = ({ path }) =>
    path.endsWith("/status") && job.ui.posts.length === 1 ? refusal(code, "no") : undefined;
  job.audience.viewerCame();
  job.run();
  await posted(job, 3);
  const serial = job.ui.posts.slice(0, 3).map((post) => Object(post["serial_log"]).offset);
  expect(serial).toEqual([...offsets, 6]);
  const screens = job.ui.posts.slice(0, 3).map((post) => "screen" in post);
  expect(screens).toEqual([true, offsets[1] === 0, false]);
});

test("the last post has nothing of the live view, and the screen is not written any more", async () => {
  await using job = await watchedJob({ serial0: "serial" });
  job.audience.viewerCame();
  job.run();
  await posted(job, 1);
  expect(await job.stop()).toEqual({ why: "aborted" });
  expect(await Bun.file(job.pool.path("live_log")).exists()).toBe(false);
  await job.reporter.finish(recordingContext());
  expect(job.ui.posts.map(isLive)).toEqual([true, false]);
});

test.each([
  ["writes them for a viewer who came before the start", true],
  ["does not write them any more for those of an earlier worker", false],
])("pictures of the screen: isotovideo %s", async (_, isWatched) => {
  const periods = { intervalMs: 5, watchedIntervalMs: 5 };
  await using job = await watchedJob(isWatched ? {} : { live_log: "" }, periods);
  if (isWatched) job.audience.viewerCame();
  job.run();
  await posted(job, 3);
  expect(await Bun.file(job.pool.path("live_log")).exists()).toBe(isWatched);
});

test("developers hear of each round of uploads what has changed, as recorded", async () => {
  const steps = [{ screenshot: "a.png" }, { text: "1.txt" }, { text: "2.txt" }];
  const files = { "testresults/a.png": "a", "testresults/1.txt": "1", "testresults/2.txt": "2" };
  await using job = await watchedJob(files, { intervalMs: 5 });
  job.run();
  await posted(job, 1);
  expect(told(job)).toEqual([]);
  const isTold = (...news: string[]) =>
    job.ui.until(() => Bun.deepEquals(told(job).slice(-news.length), news));
  job.audience.developerCame();
  await isTold("null/null 0+0");

  await job.pool.write({ ...result("boot"), ...result("shell"), ...status("shell", "reached module shell") });
  await isTold("null/null 0+0", "shell/1 0+0");
  expect(job.ui.posts.at(-1)).toMatchObject({ test_execution_paused: "reached module shell" });
  await job.pool.write(status("shell"));
  await isTold("shell/1 0+0", "null/null 0+0");

  const released = Promise.withResolvers<void>();
  job.ui.answer = ({ path }) =>
    path.endsWith("/artefact") ? released.promise.then(() => new Response("OK")) : undefined;
  const paused = status("extra", "reached module tests-extra");
  await job.pool.write({ ...result("shell", ...steps), ...result("extra") });
  await job.pool.write(paused);
  await isTold("null/null 0+0", "extra/1 1+2");
  await posted(job, job.ui.posts.length + 2);
  released.resolve();
  await isTold("extra/1 1+2", "extra/1 0+0");
  await posted(job, job.ui.posts.length + 2);
  expect(told(job)).toEqual(["null/null 0+0", "shell/1 0+0", "null/null 0+0", "extra/1 1+2", "extra/1 0+0"]);
});

test("developers hear at once when the uploads of a round are done", async () => {
  const files = { ...result("boot", { text: "1.txt" }), "testresults/1.txt": "1" };
  await using job = await watchedJob({ ...files, ...status("boot", "paused") });
  job.audience.developerCame();
  job.run();
  await job.ui.until(() => told(job).length === 2);
  expect(told(job)).toEqual(["boot/1 0+1", "boot/1 0+0"]);
  expect(job.ui.posts).toHaveLength(1);
});

test("a module that ends is told, and that the next post has none", async () => {
  await using job = await watchedJob({}, { intervalMs: 5 });
  job.audience.developerCame();
  job.run();
  await posted(job, 1);
  await job.pool.write({ ...result("boot"), ...status("shell") });
  await job.ui.until(() => told(job).length === 3);
  expect(told(job)).toEqual(["null/null 0+0", "boot/0 0+0", "null/null 0+0"]);
});

test("a developer who comes to a paused job hears at once that its module is on the server", async () => {
  const paused = { ...result("boot"), ...status("boot", "reached module boot") };
  await using job = await watchedJob(paused);
  job.run();
  await posted(job, 1);
  job.audience.developerCame();
  await posted(job, 2);
  await job.ui.until(() => told(job).length === 1);
  expect(told(job)).toEqual(["boot/1 0+0"]);
  expect(job.ui.posts[1]).toMatchObject({
    result: { boot: { result: "running", dents: 0, details: [] } },
  });
});

test("a live view handler that hangs or fails delays no post and no upload, and ends nothing", async () => {
  await using job = await watchedJob({}, { intervalMs: 5 });
  const hanging = new Promise<Response>(() => {});
  job.ui.answer = ({ path }) => (path.startsWith("/liveviewhandler/") ? hanging : undefined);
  job.audience.developerCame();
  job.run();
  await job.ui.until(() => told(job).length === 1);
  await job.pool.write({
    "testresults/1.txt": "1",
    ...result("boot", { text: "1.txt" }),
    ...status("shell"),
  });
  await job.ui.until(({ requests }) => requests.some((request) => fileOf(request).name === "1.txt"));
  await posted(job, job.ui.posts.length + 2);
  expect(await job.stop()).toEqual({ why: "aborted" });
});

test("nothing is told when the job is being stopped", async () => {
  const files = { ...result("boot", { text: "1.txt" }), "testresults/1.txt": "1" };
  await using job = await watchedJob({ ...files, ...status("boot", "paused") });
  const released = Promise.withResolvers<void>();
  job.ui.answer = ({ path }) =>
    path.endsWith("/artefact") ? released.promise.then(() => new Response("OK")) : undefined;
  job.audience.developerCame();
  job.run();
  await job.ui.until(({ uploads }) => uploads.length === 1);
  const stopped = job.stop();
  released.resolve();
  await stopped;
  await job.reporter.finish(recordingContext());
  expect(told(job)).toEqual(["boot/1 0+1"]);
});
