// Parts of the server go away while a job runs, or while it ends: the job passes all the same, and its end is told once.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { AccessLog } from "./access-log.ts";
import { installDistribution, jobSettings, jobState, postJob, readJob, waitUntilRuns } from "./jobs.ts";
import { expectCleanPools, expectTidy } from "./pair.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { until } from "./until.ts";
import { startOurWorker, type Worker } from "./workers.ts";

const stepLimitMs = 60_000;
/** So that a slot finds out within seconds that nobody takes its results, and that somebody does again. */
const lines = ["RETRY_DELAY = 1", "RETRY_DELAY_IF_WEBUI_BUSY = 1"];
const env = {
  OPENQA_WORKER_REPORT_INTERVAL_MS: "1000",
  OPENQA_WORKER_SPOOL_RETRY_DELAY_MS: "500",
  OPENQA_WORKER_SPOOL_MAX_RETRY_DELAY_MS: "1000",
  OPENQA_WORKER_SPOOL_TRIES_BEFORE: "2",
};

let server: OpenqaServer;

const onServer = (name: string, body: () => Promise<void>) => serverTest(name, () => server, body);

beforeAll(async () => {
  server = await startServer();
  await installDistribution(server);
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

async function startWorker(instance: number, waits = true): Promise<Worker> {
  return startOurWorker(server, { instance, workerClass: `restarts-${instance}`, env, lines, waits });
}

function postNap(instance: number, seconds: number): Promise<number> {
  return postJob(server, { ...jobSettings("nap", `restarts-${instance}`), NAP_SECONDS: String(seconds) });
}

/** The job has passed, with all that it has done, in one go. */
async function expectPassed(id: number, seconds: number, seen: AccessLog): Promise<void> {
  // Each process of the web UI fails once after the database was away.
  await until("the job is done", stepLimitMs, () =>
    jobState(server, id).then(
      ({ state }) => state === "done",
      () => false,
    ),
  );
  const job = await until("its results can be read", stepLimitMs, () =>
    readJob(server, id).catch(() => undefined),
  );
  const { result, reason, cloneId, modules, logs } = job;
  expect({ result, reason, cloneId }).toEqual({ result: "passed", reason: undefined, cloneId: undefined });
  expect(modules.map((module) => [module.name, module.result, module.steps.length])).toEqual([
    ["noop", "passed", 1],
    ["nap", "passed", seconds],
    ["noop_end", "passed", 1],
  ]);
  expect(modules.flatMap(({ steps }) => steps.map(({ text }) => text?.content))).not.toContain("");
  expect(logs).toContain("autoinst-log.txt");
  expect(logs).toContain("worker-log.txt");
  expect((await seen.endsOf(id)).filter((status) => status === 200)).toHaveLength(1);
}

const isOfWorker = (path: string, id: number) =>
  path.startsWith(`/api/v1/jobs/${id}/`) || path.startsWith("/api/v1/ws/");

describe("while a job runs", () => {
  const seconds = 9;
  const restarts: readonly (readonly [string, NodeJS.Signals])[] = [
    ["webui", "SIGTERM"],
    ["websockets", "SIGTERM"],
    // Ends all connections at once, as a crash does.
    ["postgres", "SIGQUIT"],
  ];
  for (const [program, signal] of restarts)
    onServer(`${program} is restarted`, async () => {
      const instance = server.takeInstances(1);
      const worker = await startWorker(instance);
      const seen = await AccessLog.startingNow(server);
      const id = await postNap(instance, seconds);
      await waitUntilRuns(server, id, "nap");
      await server.stopProgram(program, signal);
      await until("the worker has noticed", stepLimitMs, async () =>
        (await seen.requests()).some(({ path, status }) => status >= 500 && isOfWorker(path, id)),
      );
      await server.startProgram(program);
      await expectPassed(id, seconds, seen);
      await expectCleanPools(worker);
      expect(await worker.stop()).toBe(0);
    });
});

describe("the web UI is away at the end of a job", () => {
  const seconds = 3;

  /** Stops the web UI while a job runs, and starts it again when the end of that job is in the slot's spool. */
  async function spool(
    worker: Worker,
    instance: number,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<number> {
    const id = await postNap(instance, seconds);
    await waitUntilRuns(server, id, "nap");
    await server.stopProgram("webui");
    try {
      const waiting = join(worker.poolFolder(), "..", ".openqa-worker/spool", String(instance), "waiting");
      const entries = () => readdir(waiting).catch(() => []);
      await until("the job is in the spool", stepLimitMs, async () => (await entries()).length > 0);
      await expectTidy(worker);
      await expectCleanPools(worker);
      await meanwhile();
    } finally {
      await server.startProgram("webui");
    }
    return id;
  }

  onServer("its result arrives when it is back, and the slot takes jobs again", async () => {
    const instance = server.takeInstances(1);
    const worker = await startWorker(instance);
    const seen = await AccessLog.startingNow(server);
    await expectPassed(await spool(worker, instance), seconds, seen);
    await expectPassed(await postNap(instance, 1), 1, seen);
    expect(await worker.stop()).toBe(0);
  });

  onServer("its result arrives also when the worker was restarted meanwhile", async () => {
    const instance = server.takeInstances(1);
    const worker = await startWorker(instance);
    const seen = await AccessLog.startingNow(server);
    let restarted = worker;
    const id = await spool(worker, instance, async () => {
      expect(await worker.stop()).toBe(0);
      restarted = await startWorker(instance, false);
    });
    await expectPassed(id, seconds, seen);
    expect(await restarted.stop()).toBe(0);
  });
});
