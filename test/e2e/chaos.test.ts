// A real server behind an unruly proxy: whatever gets lost, doubled or refused on the way, each of many quick jobs
// reaches its result exactly once. E2E_SEED in the environment repeats the faults of an earlier run.
import { afterAll, beforeAll, expect } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { allFaults, resetsOf } from "./chaos-checks.ts";
import { type ChaosJob, chaosJobs } from "./chaos-jobs.ts";
import type { Fault, FaultShares } from "./faults.ts";
import { installDistribution, postJob } from "./jobs.ts";
import { installKeptIsotovideo } from "./kept-isotovideo.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { UnrulyProxy } from "./unruly-proxy.ts";
import { until } from "./until.ts";
import { startOurWorker, type Worker } from "./workers.ts";

const workerClass = "chaos";
const jobCount = 100;
const slots = 4;
const jobsLimitMs = 240_000;

/** Nearly a third of all requests meet with something. */
const usualShares: Readonly<Record<Exclude<Fault, "none">, number>> = {
  late: 0.08,
  "cut before": 0.03,
  "cut after": 0.03,
  "reset in request": 0.02,
  "reset in answer": 0.02,
  refused: 0.05,
  truncated: 0.02,
  shortened: 0.02,
  twice: 0.03,
};

/** The calls that there are few of, and on which a job's fate depends. */
const decisive = /\/set_done$|^POST \/api\/v1\/workers$/;

/** Of decisive calls more than half. */
function shares(kind: string): FaultShares {
  if (!decisive.test(kind)) return usualShares;
  return Object.fromEntries(Object.entries(usualShares).map(([fault, share]) => [fault, 2 * share]));
}

/**
 * Retries soon: what takes minutes elsewhere happens here in seconds. Between two statuses there is more time than a
 * message may take, or the server takes an assigned job for one that its worker knows nothing of.
 */
const lines = [
  "RETRY_DELAY = 0.1",
  "RETRY_DELAY_IF_WEBUI_BUSY = 0.2",
  "STATUS_MIN_INTERVAL = 2",
  "STATUS_MAX_INTERVAL = 3",
  "UPLOAD_CHUNK_SIZE = 20000",
];
const env = {
  OPENQA_WORKER_CONNECT_INTERVAL: "0.2",
  OPENQA_UPLOAD_DELAY: "0.1",
  OPENQA_WORKER_TIMEOUTS_ANSWER_MS: "3000",
  OPENQA_WORKER_REPORT_INTERVAL_MS: "300",
  // So few that many ends have to wait in the spool.
  OPENQA_WORKER_SPOOL_TRIES_BEFORE: "2",
  OPENQA_WORKER_SPOOL_RETRY_DELAY_MS: "100",
  OPENQA_WORKER_SPOOL_MAX_RETRY_DELAY_MS: "500",
};

let server: OpenqaServer;

beforeAll(async () => {
  server = await startServer();
  await installDistribution(server);
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

/** Rows of one statement, columns as texts. */
async function query(statement: string): Promise<string[][]> {
  const output = await server.sql(statement, { role: "geekotest", database: "openqa" });
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("|"));
}

/** Paths of the entries that a spool has, "INSTANCE/waiting/NAME". */
async function spooled(worker: Worker): Promise<string[]> {
  const folder = join(worker.poolFolder(), "../.openqa-worker/spool");
  const paths = await readdir(folder, { recursive: true }).catch(() => []);
  return paths.filter((path) => path.split("/").length === 3);
}

serverTest(
  "each of many quick jobs reaches its result exactly once through an unruly proxy",
  () => server,
  async () => {
    const seed = Number(process.env["E2E_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`unruly proxy: E2E_SEED=${seed}`);
    const kept = await installKeptIsotovideo(server);
    await using proxy = await UnrulyProxy.open({
      target: server.ports.proxy,
      seed,
      shares,
      refusals: [500, 502, 503, 408, 429],
      maxDelayMs: 1000,
      maxFrameDelayMs: 200,
      websocketLifeMs: 8000,
    });
    const worker = await startOurWorker(server, {
      instance: server.takeInstances(slots),
      slots,
      workerClass,
      webUiUrl: proxy.url,
      lines,
      env,
      extraArgs: ["--isotovideo", kept.path],
    });
    const jobs = new Map<number, ChaosJob>();
    for (const job of chaosJobs(jobCount, workerClass)) jobs.set(await postJob(server, job.settings), job);

    const unfinished = "select id, state, assigned_worker_id from jobs where state != 'done'";
    await until("all jobs are done", jobsLimitMs, async () => (await query(unfinished)).length === 0).catch(
      async (error) => {
        console.error(await query(unfinished), proxy.happened);
        throw error;
      },
    );
    await until("nothing runs any more", 30_000, async () => (await worker.jobProcesses()).length === 0);
    await until("nothing waits in the spool", 30_000, async () =>
      (await spooled(worker)).every((path) => !path.includes("/waiting/")),
    );
    const aftermath = { server, kept, workerLog: await worker.log(), resets: await resetsOf(server) };
    const isReset = (path: string) => [...aftermath.resets.keys()].some((id) => path.includes(`-${id}-`));
    expect((await spooled(worker)).filter((path) => !isReset(path))).toEqual([]);
    expect(await worker.stop()).toBe(0);
    expect(await worker.processes()).toEqual([]);

    expect(await allFaults(jobs, aftermath)).toEqual([]);
    expect(await query("select count(*) from jobs where t_finished is null")).toEqual([["0"]]);
    expect(await query("select count(*) from jobs")).toEqual([[String(jobCount)]]);
    expect(aftermath.workerLog).toContain("Delivered from the spool");
    for (const fault of Object.keys(usualShares) as Fault[])
      expect([fault, proxy.count(fault)]).not.toEqual([fault, 0]);
  },
);
