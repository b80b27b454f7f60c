import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { symlink } from "node:fs/promises";
import type { Settings } from "../../src/config/settings.ts";
import { Audience } from "../../src/results/audience.ts";
import { nothingReported, type Progress } from "../../src/results/progress.ts";
import { Reporter, type ReporterOptions } from "../../src/results/reporter.ts";
import { makeFifo, TemporaryPool } from "./temporary-pool.ts";
import { field, fileOf, recordingContext, refusal, settingsWith, WebUiDouble } from "./web-ui-double.ts";

const fixed = { worker_id: 7, cmd_srv_url: "http://localhost:20013/token", worker_hostname: "host" };
const order = ["boot", "shell"].map((name) => ({
  name,
  category: "tests",
  script: `tests/${name}.pm`,
  flags: {},
}));

const status = (current: string | null, more = {}) => ({
  "autoinst-status.json": { status: "running", current_test: current, test_execution_paused: 0, ...more },
});
const testOrder = { "testresults/test_order.json": order };
const result = (name: string, ...details: object[]) => ({
  [`testresults/result-${name}.json`]: { result: "ok", dents: 0, details },
});
const picture = (name: string) => ({
  [`testresults/${name}`]: name,
  [`testresults/.thumbs/${name}`]: `thumb ${name}`,
});
const md5 = (content: string) => createHash("md5").update(content).digest("hex");

function reporterFor(
  ui: WebUiDouble,
  pool: TemporaryPool,
  report: Partial<Settings["own"]["report"]> = {},
  more: Partial<ReporterOptions> = {},
): Reporter {
  const webUi = ui.client();
  const settings = settingsWith({}, report);
  return new Reporter({
    webUi,
    jobId: "12",
    poolDirectory: pool.directory,
    settings,
    fixed,
    audience: new Audience(),
    ...more,
  });
}

/** Runs until something has happened. */
async function runUntil(reporter: Reporter, happened: () => Promise<void>) {
  const stop = new AbortController();
  const running = reporter.run(recordingContext(stop.signal));
  await happened();
  stop.abort();
  return await running;
}

const answering = (answer: object) => (request: { path: string }) =>
  request.path.endsWith("/status") ? Response.json({ result: 1, ...answer }) : undefined;

test("the first post goes out at once, then one per period", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make();
  const reporter = reporterFor(ui, pool, { intervalMs: 60 });
  const end = await runUntil(reporter, () => ui.until(({ posts }) => posts.length === 4));
  expect(end).toEqual({ why: "aborted" });
  expect(ui.posts[0]).toEqual({ ...fixed, test_execution_paused: 0 });
  const times = ui.requests.map(({ atMs }) => atMs);
  expect(times[3]! - times[0]!).toBeGreaterThan(2 * 60);
});

test("the period counts from post to post, not from the end of one to the next", async () => {
  const answerMs = 40;
  await using ui = new WebUiDouble(async () => {
    await Bun.sleep(answerMs);
    return Response.json({ result: 1 });
  });
  await using pool = await TemporaryPool.make();
  await runUntil(reporterFor(ui, pool, { intervalMs: 50 }), () =>
    ui.until(({ posts }) => posts.length === 11),
  );
  const times = ui.requests.map(({ atMs }) => atMs);
  expect((times[10]! - times[0]!) / 10).toBeLessThan(50 + answerMs);
});

test("results of a finished module are posted with the md5 of their pictures, and these are uploaded", async () => {
  await using ui = new WebUiDouble();
  const steps = [{ screenshot: "boot-1.png", result: "ok" }, { text: "boot-2.txt" }, { audio: "boot-3.wav" }];
  await using pool = await TemporaryPool.make({ ...testOrder, ...status("boot") });
  const stop = new AbortController();
  const running = reporterFor(ui, pool).run(recordingContext(stop.signal));
  await ui.until(({ posts }) => posts.length === 1);
  const files = { "testresults/boot-2.txt": "text", "testresults/boot-3.wav": "audio" };
  await pool.write({ ...result("boot", ...steps), ...picture("boot-1.png"), ...files, ...status("shell") });
  await ui.until(({ uploads }) => uploads.length === 4);
  stop.abort();
  await running;
  expect(ui.posts[0]).toEqual({
    ...fixed,
    test_execution_paused: 0,
    test_order: order,
    result: { boot: { result: "running" } },
  });
  const sum = md5("boot-1.png");
  const posted = ui.posts.find(
    (post) => "boot" in Object(post["result"]) && "shell" in Object(post["result"]),
  );
  expect(posted).toEqual({
    ...fixed,
    test_execution_paused: 0,
    result: {
      boot: {
        result: "ok",
        dents: 0,
        details: [{ screenshot: { name: "boot-1.png", md5: sum }, result: "ok" }, ...steps.slice(1)],
      },
      shell: { result: "running" },
    },
  });
  expect(ui.uploads.toSorted()).toEqual([
    `boot-1.png image=1 md5=${sum} thumb=0`,
    `boot-1.png image=1 md5=${sum} thumb=1`,
    "boot-2.txt image=0 thumb=0",
    "boot-3.wav image=0 thumb=0",
  ]);
  const thumbnail = ui.requests.find((request) => field(request, "thumb") === "1")!;
  expect(fileOf(thumbnail).bytes.toString()).toBe("thumb boot-1.png");
});

test("uploads that hang delay no post, and no more of them are under way than allowed", async () => {
  let underWay = 0;
  let most = 0;
  const released = Promise.withResolvers<void>();
  await using ui = new WebUiDouble(async ({ path }) => {
    if (path.endsWith("/status")) return Response.json({ result: 1 });
    most = Math.max(most, ++underWay);
    await released.promise;
    underWay--;
    return new Response("OK");
  });
  const steps = Array.from({ length: 9 }, (_, at) => ({ text: `${at}.txt` }));
  const texts = Object.fromEntries(steps.map(({ text }) => [`testresults/${text}`, text]));
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", ...steps),
    ...texts,
    ...status("boot"),
  });
  const reporter = reporterFor(ui, pool, { parallelUploads: 3 });
  await runUntil(reporter, async () => {
    await ui.until(({ posts }) => posts.length === 1);
    await pool.write(status("shell"));
    await ui.until(({ uploads }) => uploads.length === 3);
    const { length } = ui.posts;
    await ui.until(({ posts }) => posts.length >= length + 5);
    released.resolve();
    await ui.until(({ uploads }) => uploads.length === 9);
  });
  expect(most).toBe(3);
});

test("what the server knows is not uploaded", async () => {
  const known = { known_images: [md5("a.png")], known_files: ["a.txt"] };
  await using ui = new WebUiDouble(answering(known));
  const steps = [{ screenshot: "a.png" }, { screenshot: "b.png" }, { text: "a.txt" }, { text: "b.txt" }];
  const files = {
    ...picture("a.png"),
    ...picture("b.png"),
    "testresults/a.txt": "a",
    "testresults/b.txt": "b",
  };
  await using pool = await TemporaryPool.make({ ...testOrder, ...result("boot", ...steps), ...files });
  const reporter = reporterFor(ui, pool, {}, { reported: nothingReported });
  expect(await reporter.finish(recordingContext())).toBeUndefined();
  expect(ui.uploads.map((upload) => upload.split(" ")[0]).toSorted()).toEqual(["b.png", "b.png", "b.txt"]);
});

test("texts of a job that nobody has reported before go up beside its last post", async () => {
  const arrived = Promise.withResolvers<void>();
  await using ui = new WebUiDouble(async (request) => {
    if (request.path.endsWith("/status")) {
      await arrived.promise;
      return Response.json({ result: 1 });
    }
    arrived.resolve();
    return undefined;
  });
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { text: "a.txt" }),
    "testresults/a.txt": "a",
  });
  expect(await reporterFor(ui, pool).finish(recordingContext())).toBeUndefined();
  expect(ui.uploads).toEqual(["a.txt image=0 thumb=0"]);
});

test("nothing goes on when a refused last post has ended it all", async () => {
  const order: string[] = [];
  const returned = Promise.withResolvers<void>();
  await using ui = new WebUiDouble(async (request) => {
    if (request.path.endsWith("/status")) return refusal(400, "no");
    await Promise.race([returned.promise, Bun.sleep(100)]);
    order.push("uploaded");
    return undefined;
  });
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { text: "a.txt" }),
    "testresults/a.txt": "a",
  });
  expect(await reporterFor(ui, pool).finish(recordingContext())).toMatchObject({ error: { status: 400 } });
  order.push("returned");
  returned.resolve();
  expect(order).toEqual(["uploaded", "returned"]);
});

test("the same picture under two names goes up once", async () => {
  await using ui = new WebUiDouble();
  const same = { "testresults/a.png": "same", "testresults/b.png": "same" };
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { screenshot: "a.png" }, { screenshot: "b.png" }),
    ...same,
  });
  await reporterFor(ui, pool).finish(recordingContext());
  expect(ui.uploads).toEqual([`a.png image=1 md5=${md5("same")} thumb=0`]);
});

test("a failed thumbnail is logged and keeps its picture back: both are sent again at the end", async () => {
  let isBroken = true;
  await using ui = new WebUiDouble((request) => {
    if (request.path.endsWith("/status")) return Response.json({ result: 1, known_images: [] });
    return isBroken && field(request, "thumb") === "1" ? refusal(400, "no") : undefined;
  });
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { screenshot: "a.png" }),
    ...picture("a.png"),
    ...status("boot"),
  });
  const reporter = reporterFor(ui, pool);
  const stop = new AbortController();
  const context = recordingContext(stop.signal);
  const running = reporter.run(context);
  await ui.until(({ posts }) => posts.length === 1);
  await pool.write(status("shell"));
  await ui.until(({ uploads, posts }) => uploads.length === 1 && posts.length > 4);
  stop.abort();
  expect(await running).toEqual({ why: "aborted" });
  expect(context.lines).toContain("error Error uploading a.png: 400 response: no");
  isBroken = false;
  expect(await reporter.finish(recordingContext())).toBeUndefined();
  expect(ui.uploads.map((upload) => upload.slice(-7))).toEqual(["thumb=1", "thumb=1", "thumb=0"]);
});

test("what was uploaded during the run is not uploaded again at the end", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { screenshot: "a.png" }),
    ...picture("a.png"),
    ...status("boot"),
  });
  const reporter = reporterFor(ui, pool);
  await runUntil(reporter, async () => {
    await ui.until(({ posts }) => posts.length === 1);
    await pool.write(status("shell"));
    await ui.until(({ uploads }) => uploads.length === 2);
    const { length } = ui.posts;
    await ui.until(({ posts }) => posts.length >= length + 2);
  });
  await reporter.finish(recordingContext());
  expect(ui.uploads).toHaveLength(2);
});

test.each([[400], [403], [404], [413]])("status %d to a post ends the reporting", async (code) => {
  await using ui = new WebUiDouble(() =>
    refusal(code, "Got status update for job 12 with unexpected worker ID 7"),
  );
  await using pool = await TemporaryPool.make();
  const end = await reporterFor(ui, pool).run(recordingContext());
  expect(end).toMatchObject({ why: "refused", error: { status: code } });
  expect(ui.posts).toHaveLength(1);
});

test.each([[408], [425], [490], [500], [502], [503]])(
  "status %d to a post only means that the next one carries it",
  async (code) => {
    let left = 3;
    await using ui = new WebUiDouble(({ path }) =>
      path.endsWith("/status") && left-- > 0 ? refusal(code, "later") : undefined,
    );
    await using pool = await TemporaryPool.make({ ...testOrder, ...result("boot"), ...status("shell") });
    const reporter = reporterFor(ui, pool, {}, { reported: { currentModule: "boot", sentModules: [] } });
    expect(await runUntil(reporter, () => ui.until(({ posts }) => posts.length === 5))).toEqual({
      why: "aborted",
    });
    const full = { test_order: order, result: { boot: { result: "ok" }, shell: { result: "running" } } };
    for (const post of ui.posts.slice(0, 4)) expect(post).toMatchObject(full);
    expect(ui.posts[4]).toEqual({
      ...fixed,
      test_execution_paused: 0,
      result: { shell: { result: "running" } },
    });
  },
);

test("a web UI that goes away and comes back is told all that it missed", async () => {
  let isAway = false;
  await using ui = new WebUiDouble(({ path }) =>
    isAway && path.endsWith("/status") ? refusal(503, "away") : undefined,
  );
  await using pool = await TemporaryPool.make({ ...testOrder, ...status("boot") });
  const told: Progress[] = [];
  const reporter = reporterFor(ui, pool, {}, { onReported: (progress) => told.push(progress) });
  await runUntil(reporter, async () => {
    await ui.until(({ posts }) => posts.length === 1);
    isAway = true;
    await pool.write({ ...result("boot"), ...status("shell") });
    const { length } = ui.posts;
    await ui.until(({ posts }) => posts.length >= length + 2);
    expect(told.map(({ sentModules }) => sentModules)).toEqual([[]]);
    isAway = false;
    const back = ui.posts.length;
    await ui.until(({ posts }) => posts.length >= back + 2);
  });
  expect(told.at(-1)).toMatchObject({ currentModule: "shell", sentModules: ["boot"] });
  expect(told).toHaveLength(2);
});

test("modules that the server misses bring the test order along again", async () => {
  let posts = 0;
  await using ui = new WebUiDouble(() => (++posts === 2 ? refusal(490, "Failed modules: boot") : undefined));
  await using pool = await TemporaryPool.make({ ...testOrder, ...status("boot") });
  await runUntil(reporterFor(ui, pool), () => ui.until(({ posts }) => posts.length === 4));
  expect(ui.posts.slice(0, 4).map((post) => "test_order" in post)).toEqual([true, false, true, false]);
});

test("an upload that the server refuses because it has no worker ends the reporting", async () => {
  await using ui = new WebUiDouble(({ path }) =>
    path.endsWith("/artefact") ? refusal(404, "No worker assigned") : undefined,
  );
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { screenshot: "a.png" }),
    ...picture("a.png"),
    ...status("shell"),
  });
  const reporter = reporterFor(ui, pool, {}, { reported: { currentModule: "boot", sentModules: [] } });
  const end = await reporter.run(recordingContext());
  expect(end).toMatchObject({ why: "refused", error: { message: "404 response: No worker assigned" } });
});

test.each([["running"], ["finished"]])(
  "status %s without a test order: no tests are scheduled",
  async (state) => {
    await using ui = new WebUiDouble();
    await using pool = await TemporaryPool.make(status(null, { status: state }));
    const reporter = reporterFor(ui, pool);
    expect(await reporter.run(recordingContext())).toEqual({ why: "no tests scheduled" });
    expect(await reporter.finish(recordingContext())).toBeUndefined();
    expect(ui.requests).toEqual([]);
  },
);

test("an empty test order is one", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ "testresults/test_order.json": [], ...status(null) });
  expect(await runUntil(reporterFor(ui, pool), () => ui.until(({ posts }) => posts.length === 2))).toEqual({
    why: "aborted",
  });
});

test("the last post has the whole order and all results, nothing running, then the files go up (field lesson 31)", async () => {
  await using ui = new WebUiDouble();
  const files = { ...picture("a.png"), "testresults/b.txt": "b" };
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { screenshot: "a.png" }),
    ...result("shell", { text: "b.txt" }),
    ...files,
    ...status("shell"),
  });
  const reported = { currentModule: "shell", sentModules: ["boot"] };
  expect(await reporterFor(ui, pool, {}, { reported }).finish(recordingContext())).toBeUndefined();
  expect(ui.posts).toEqual([
    {
      ...fixed,
      test_execution_paused: 0,
      test_order: order,
      result: {
        boot: { result: "ok", dents: 0, details: [{ screenshot: { name: "a.png", md5: md5("a.png") } }] },
        shell: { result: "ok", dents: 0, details: [{ text: "b.txt" }] },
      },
    },
  ]);
  expect(ui.requests[0]?.path).toEndWith("/jobs/12/status");
  expect(ui.uploads).toHaveLength(3);
});

test("a job whose isotovideo has left nothing gets a last post all the same (field lesson 31)", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make();
  expect(await reporterFor(ui, pool).finish(recordingContext())).toBeUndefined();
  expect(ui.posts).toEqual([{ ...fixed, test_execution_paused: 0, test_order: [] }]);
});

test.each([
  [
    "the last post is refused",
    (path: string) => path.endsWith("/status"),
    400,
    "Unable to upload images: posting status failed",
  ],
  [
    "the last post fails",
    (path: string) => path.endsWith("/status"),
    500,
    "Unable to upload images: posting status failed",
  ],
  [
    "a picture is refused",
    (path: string) => path.endsWith("/artefact"),
    400,
    "Unable to upload images: Error uploading a.png: 400 response: no",
  ],
  [
    "a picture fails",
    (path: string) => path.endsWith("/artefact"),
    502,
    "Unable to upload images: Error uploading a.png: 502 response: no",
  ],
] as const)("%s: the job's reason will say so", async (_, concerns, code, expected) => {
  await using ui = new WebUiDouble(({ path }) => (concerns(path) ? refusal(code, "no") : undefined));
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { screenshot: "a.png" }),
    ...picture("a.png"),
  });
  expect(await reporterFor(ui, pool).finish(recordingContext())).toMatchObject({
    text: expected,
    error: { status: code },
  });
});

test("a refused file does not keep the others back, a web UI that is away does", async () => {
  const steps = ["a", "b", "c", "d"].map((name) => ({ text: `${name}.txt` }));
  const texts = Object.fromEntries(steps.map(({ text }) => [`testresults/${text}`, text]));
  await using pool = await TemporaryPool.make({ ...testOrder, ...result("boot", ...steps), ...texts });
  let code = 400;
  await using ui = new WebUiDouble((request) =>
    fileOf(request).name === "a.txt" ? refusal(code, "no") : undefined,
  );
  await reporterFor(ui, pool, { parallelUploads: 1 }).finish(recordingContext());
  expect(ui.uploads).toHaveLength(4);
  code = 503;
  await reporterFor(ui, pool, { parallelUploads: 1 }).finish(recordingContext());
  expect(ui.uploads).toHaveLength(4 + 2);
});

test("the end can be cut off at any moment", async () => {
  const stop = new AbortController();
  await using ui = new WebUiDouble(({ path }) => {
    if (path.endsWith("/status")) return undefined;
    stop.abort(new Error("deadline"));
    return new Promise<Response>(() => {});
  });
  await using pool = await TemporaryPool.make({
    ...testOrder,
    ...result("boot", { screenshot: "a.png" }),
    ...picture("a.png"),
  });
  await expect(reporterFor(ui, pool).finish(recordingContext(stop.signal))).rejects.toThrow("deadline");
});

test("nothing outside the pool is read or uploaded, whatever a result file names", async () => {
  await using ui = new WebUiDouble();
  const names = ["../outside/secret", "link.png", "fifo.png", "none.png", "../../outside/secret"];
  const steps = [
    ...names.map((screenshot) => ({ screenshot })),
    { text: "link.txt" },
    { text: "../outside/secret" },
  ];
  await using pool = await TemporaryPool.make({ ...testOrder, ...result("boot", ...steps) });
  await symlink(`${pool.outside}/secret`, pool.path("testresults/link.png"));
  await symlink(`${pool.outside}/secret`, pool.path("testresults/link.txt"));
  await makeFifo(pool.path("testresults/fifo.png"));
  const context = recordingContext();
  expect(await reporterFor(ui, pool).finish(context)).toBeUndefined();
  expect(ui.uploads).toEqual([]);
  expect(ui.posts[0]?.["result"]).toEqual({
    boot: {
      result: "ok",
      dents: 0,
      details: [
        { screenshot: { name: "link.png" } },
        { screenshot: { name: "fifo.png" } },
        { screenshot: { name: "none.png" } },
        { text: "link.txt" },
      ],
    },
  });
  expect(context.lines.filter((line) => line.includes("link.") || line.includes("fifo."))).toHaveLength(3);
});

test("a directory with the end of a job that ran elsewhere is delivered without a run", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ ...testOrder, ...result("boot"), ...result("shell") });
  const told: Progress[] = [];
  const reported = { currentModule: "shell", sentModules: ["boot"], orderVersion: "of the pool it ran in" };
  const more = { reported, onReported: (progress: Progress) => told.push(progress) };
  expect(await reporterFor(ui, pool, {}, more).finish(recordingContext())).toBeUndefined();
  expect(ui.posts).toMatchObject([
    { test_order: order, result: { boot: { result: "ok" }, shell: { result: "ok" } } },
  ]);
  expect(told).toMatchObject([{ currentModule: "", sentModules: ["boot", "shell"] }]);
});
