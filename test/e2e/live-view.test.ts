// The live view of a running job as browsers show it: log and pictures each second, and no more than that afterwards.
import { afterAll, beforeAll, expect } from "bun:test";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { AccessLog } from "./access-log.ts";
import { Browser, type EventStream } from "./browser.ts";
import { installDistribution, jobSettings, postJob, readJob, waitForEnd } from "./jobs.ts";
import { expectTidy, type Side, startPair } from "./pair.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { until } from "./until.ts";
import { untilQemuRuns, type Worker } from "./workers.ts";

const stepLimitMs = 40_000;
const pageStatus = z.object({ state: z.string(), running: z.string().optional() });

let server: OpenqaServer;
let browser: Browser;

beforeAll(async () => {
  server = await startServer({ webUiProcesses: 8 });
  await installDistribution(server);
  browser = await Browser.logIn(server);
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

/** What the log's event stream has brought, as the bytes of the file. */
function bytesOf({ events }: EventStream): Buffer {
  // Each character is a byte (protocol 7).
  return Buffer.from(events.map((event) => JSON.parse(event)[0]).join(""), "latin1");
}

const isPng = (event: string) =>
  Buffer.from(event.replace("data:image/png;base64,", ""), "base64").subarray(1, 4).toString() === "PNG";

const isWatched = (worker: Worker) =>
  stat(join(worker.poolFolder(), "live_log")).then(
    () => true,
    () => false,
  );

/** Opens both streams, waits until they have gone on for some seconds, and closes them again. Returns the log. */
async function watch(worker: Worker, id: number): Promise<Buffer> {
  const log = browser.follow(`/tests/${id}/livelog`);
  const pictures = browser.follow(`/tests/${id}/streaming`);
  await until("isotovideo is told that it is watched", stepLimitMs, () => isWatched(worker));
  const seen = await AccessLog.startingNow(server);
  const startedAt = Date.now();
  await until("log and pictures go on while the module runs", stepLimitMs, async () => {
    const arrived = bytesOf(log).includes("– noch müde") && pictures.events.filter(isPng).length >= 2;
    return arrived && (await seen.postsOf(id, "status")).length >= 4 && (await moduleOf(id)) === "idle";
  });
  const periodMs = (Date.now() - startedAt) / (await seen.postsOf(id, "status")).length;
  expect(periodMs).toBeLessThan(2500);
  await Promise.all([log.close(), pictures.close()]);
  await until("isotovideo is told that nobody watches", stepLimitMs, async () => !(await isWatched(worker)));
  return bytesOf(log);
}

async function moduleOf(id: number): Promise<string | undefined> {
  return pageStatus.parse(await browser.json(`/tests/${id}/status`)).running;
}

/** Waits while the test takes some steps, one each second. */
async function letGoOn(worker: Worker, steps: number): Promise<void> {
  const count = async () => (await logIn(worker)).toString().split("idle, step").length;
  const start = await count();
  await until(`the test takes ${steps} steps`, stepLimitMs, async () => (await count()) >= start + steps);
}

function logIn(worker: Worker): Promise<Buffer> {
  return readFile(join(worker.poolFolder(), "autoinst-log.txt"));
}

/** Two viewers, one after the other. */
async function view(worker: Worker, id: number): Promise<void> {
  await untilQemuRuns(worker);
  const first = await watch(worker, id);
  const unwatched = await AccessLog.startingNow(server);
  await letGoOn(worker, 4);
  expect((await unwatched.postsOf(id, "status")).length).toBeLessThan(2);
  const second = await watch(worker, id);

  await waitForEnd(server, id);
  expect((await readJob(server, id)).result).toBe("passed");
  const whole = Buffer.from(await server.api.download(`/tests/${id}/file/autoinst-log.txt`));
  expect(whole.subarray(0, first.length).equals(first)).toBe(true);
  expect(whole.includes(second)).toBe(true);
}

serverTest(
  "log and pictures of a job arrive each second while it is watched, and only then",
  () => server,
  async () => {
    const pair = await startPair(server, "live", () => ({}));
    const settings = { LONG_SECONDS: "16", LONG_STEP: "1" };
    const post = (side: Side) => postJob(server, { ...jobSettings("long", `${side}-live`), ...settings });
    const ids = { stock: await post("stock"), ours: await post("ours") };
    await Promise.all([view(pair.stock, ids.stock), view(pair.ours, ids.ours)]);
    await expectTidy(pair.ours);
  },
);
