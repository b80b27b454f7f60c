// Our worker goes away while its job runs, on purpose or not: the next one finishes it, as if nothing had happened.
import { afterAll, beforeAll, expect } from "bun:test";
import { AccessLog } from "./access-log.ts";
import {
  installDistribution,
  jobSettings,
  jobState,
  postJob,
  readJob,
  waitForEnd,
  waitUntilRuns,
} from "./jobs.ts";
import { expectCleanPools } from "./pair.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { until } from "./until.ts";
import { startOurWorker, untilQemuRuns, type Worker } from "./workers.ts";

const stepLimitMs = 60_000;
/** The server hears of modules soon, and uploads take long. */
const env = { OPENQA_WORKER_REPORT_INTERVAL_MS: "1000", OPENQA_WORKER_REPORT_PARALLEL_UPLOADS: "1" };
/** From the signal on. */
const handOverLimitMs = 2000;

let server: OpenqaServer;

const onServer = (name: string, body: () => Promise<void>) => serverTest(name, () => server, body);

beforeAll(async () => {
  server = await startServer();
  await installDistribution(server);
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

interface Slots {
  readonly instance: number;
  readonly slots: number;
}

function takeSlots(slots = 1): Slots {
  return { instance: server.takeInstances(slots), slots };
}

const classOf = ({ instance }: Slots) => `hand-over-${instance}`;

function startWorker(slots: Slots, waits = true): Promise<Worker> {
  return startOurWorker(server, { ...slots, workerClass: classOf(slots), env, waits });
}

function post(slots: Slots, test: string, more: Readonly<Record<string, string>>): Promise<number> {
  return postJob(server, { ...jobSettings(test, classOf(slots)), ...more });
}

/** Sends a signal and checks that the worker ends at once, with jobs still running. */
async function end(worker: Worker, signal: "SIGUSR2" | "SIGKILL"): Promise<void> {
  const tests = (await worker.jobProcesses()).filter(({ commandLine }) =>
    /isotovideo|-qmp/.test(commandLine),
  );
  expect(tests.length).toBeGreaterThan(0);
  const startedAt = Date.now();
  const exitCode = await worker.stop(signal);
  expect(Date.now() - startedAt).toBeLessThan(handOverLimitMs);
  if (signal === "SIGUSR2") expect(exitCode).toBe(0);
  const alive = new Set((await worker.processes()).map(({ pid }) => pid));
  expect(tests.filter(({ pid }) => !alive.has(pid))).toEqual([]);
  expect(alive.has(worker.pids[0] ?? 0)).toBe(false);
}

/** Each job has passed, was told so once, and nothing of it is left. */
async function expectPassed(
  ids: readonly number[],
  old: Worker,
  next: Worker,
  seen: AccessLog,
): Promise<void> {
  for (const id of ids) {
    await waitForEnd(server, id);
    const { result, reason, cloneId, modules } = await readJob(server, id);
    expect({ result, reason, cloneId }).toEqual({ result: "passed", reason: undefined, cloneId: undefined });
    expect(new Set(modules.map((module) => module.result))).toEqual(new Set(["passed"]));
    expect(await seen.endsOf(id)).toEqual([200]);
  }
  await until(
    "all of the old worker's processes have ended",
    stepLimitMs,
    async () => (await old.processes()).length === 0,
  );
  await expectCleanPools(next);
  expect(await next.stop()).toBe(0);
  expect(await next.processes()).toEqual([]);
}

for (const signal of ["SIGUSR2", "SIGKILL"] as const)
  onServer(`two jobs go on after ${signal} to their worker, and pass with the next one`, async () => {
    const slots = takeSlots(2);
    const seen = await AccessLog.startingNow(server);
    const old = await startWorker(slots);
    const ids = [
      await post(slots, "long", { LONG_SECONDS: "6", LONG_STEP: "1" }),
      await post(slots, "nap", { NAP_SECONDS: "12" }),
    ];
    await untilQemuRuns(old);
    await waitUntilRuns(server, ids[1]!, "nap");
    await end(old, signal);
    await expectPassed(ids, old, await startWorker(slots, false), seen);
  });

onServer("a job that ended while no worker was there is finished by the next one", async () => {
  const slots = takeSlots();
  const seen = await AccessLog.startingNow(server);
  const old = await startWorker(slots);
  const id = await post(slots, "nap", { NAP_SECONDS: "6" });
  await waitUntilRuns(server, id, "nap");
  await end(old, "SIGUSR2");
  await until("isotovideo has ended", stepLimitMs, async () =>
    (await old.processes()).every(({ commandLine }) => !commandLine.includes("isotovideo")),
  );
  expect((await jobState(server, id)).state).toBe("running");
  await expectPassed([id], old, await startWorker(slots, false), seen);
});

onServer("a job whose worker was KILLed amid its uploads gets the others from the next one", async () => {
  const slots = takeSlots();
  const seen = await AccessLog.startingNow(server);
  const old = await startWorker(slots);
  const count = 80;
  const id = await post(slots, "logs", { LOGS: String(count) });
  await until("it uploads", stepLimitMs, async () => (await seen.postsOf(id, "artefact")).length > 5);
  await old.stop("SIGKILL");
  expect((await jobState(server, id)).state).toBe("uploading");
  await expectPassed([id], old, await startWorker(slots, false), seen);
  const { ulogs, logs } = await readJob(server, id);
  expect(ulogs).toHaveLength(count);
  expect(logs).toContain("autoinst-log.txt");
});
