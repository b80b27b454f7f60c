// A real server behind an unruly proxy: whatever gets lost, doubled or refused on the way, each of many quick jobs
// reaches its result exactly once. E2E_SEED in the environment repeats the faults of an earlier run.
import { afterAll, beforeAll, expect } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ChaosJob, chaosJobs } from "./chaos-jobs.ts";
import { differencesFromPool } from "./compare.ts";
import type { Fault, FaultShares } from "./faults.ts";
import { installDistribution, type JobReport, postJob, readJob } from "./jobs.ts";
import { installKeptIsotovideo, type KeptIsotovideo } from "./kept-isotovideo.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { UnrulyProxy } from "./unruly-proxy.ts";
import { until } from "./until.ts";
import { startOurWorker, type Worker } from "./workers.ts";

const workerClass = "chaos";
const jobCount = 100;
const slots = 4;
const jobsLimitMs = 240_000;
/** Jobs that are looked at at once. */
const parallelLooks = 4;

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

/** What is wrong with a job, in words. */
async function faultsOf(
  id: number,
  job: ChaosJob,
  kept: KeptIsotovideo,
  workerLog: string,
): Promise<string[]> {
  const report = await readJob(server, id);
  const starts = await kept.starts(job.key);
  if (starts === 0) return [`job ${id} (${job.key}) was never run: ${report.result}, ${report.reason}`];
  const found = await differencesFromPool(server, report, kept.folder(job.key), false);
  const check = (what: string, is: unknown, expected: unknown) => {
    if (!Bun.deepEquals(is, expected))
      found.push(`${what}: ${JSON.stringify(is)}, expected ${JSON.stringify(expected)}`);
  };
  check("starts", starts, 1);
  check("accepted", workerLog.split(`Accepted job ${id} `).length - 1, 1);
  check("result", report.result, job.expected.result);
  check("reason", report.reason, job.expected.reason);
  check("clone", report.cloneId, undefined);
  const modules = report.modules.map(({ name, result }) => [name, result] as const);
  check("modules", modules, job.expected.modules);
  check(
    "steps",
    report.modules.map(({ steps }) => steps.length),
    modules.map(() => 2),
  );
  check("ulogs", report.ulogs, job.expected.ulogs);
  const privatePrefix = `${String(id).padStart(8, "0")}-`;
  const assets = [
    ...job.expected.publicAssets.map((name) => `other/${name}`),
    ...job.expected.privateAssets.map((name) => `hdd/${privatePrefix}${name}`),
  ];
  check("assets", report.assets, assets);
  return [...found, ...(await faultyLogs(report, kept.folder(job.key)))].map(
    (fault) => `job ${id} (${job.key}): ${fault}`,
  );
}

const logNames = ["autoinst-log.txt", "serial0.txt", "vars.json", "video.ogv", "worker-log.txt"];
const wholeAutoinstLog = /setup notes.*worker notes.*isotovideo starts.*isotovideo ends.*Uploading/s;
const wholeWorkerLog = /Setting up job.*Uploading serial0.txt.*Uploading autoinst-log.txt/s;

async function faultyLogs(report: JobReport, keptFolder: string): Promise<string[]> {
  const found: string[] = [];
  const served = (name: string) => server.api.download(`/tests/${report.id}/file/${name}`);
  if (!Bun.deepEquals(report.logs, logNames)) found.push(`logs: ${report.logs}`);
  for (const [inPool, name] of [
    ["serial0", "serial0.txt"],
    ["video.ogv", "video.ogv"],
  ] as const)
    if (!(await readFile(join(keptFolder, inPool))).equals(await served(name))) found.push(`${name} differs`);
  for (const [name, whole] of [
    ["autoinst-log.txt", wholeAutoinstLog],
    ["worker-log.txt", wholeWorkerLog],
  ] as const) {
    const text = new TextDecoder().decode(await served(name));
    if (!whole.test(text)) found.push(`${name} is not whole: ${text}`);
  }
  return found;
}

/** All jobs are looked at, some at once; resolves with what is wrong. */
async function allFaults(
  jobs: ReadonlyMap<number, ChaosJob>,
  kept: KeptIsotovideo,
  log: string,
): Promise<string[]> {
  const todo = [...jobs];
  const found: string[] = [];
  const look = async () => {
    for (let next = todo.pop(); next; next = todo.pop()) found.push(...(await faultsOf(...next, kept, log)));
  };
  await Promise.all(Array.from({ length: parallelLooks }, look));
  return found;
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
    // Nor was anything refused.
    expect(await spooled(worker)).toEqual([]);
    expect(await worker.stop()).toBe(0);
    expect(await worker.processes()).toEqual([]);

    const log = await worker.log();
    expect(await allFaults(jobs, kept, log)).toEqual([]);
    expect(await query("select count(*) from jobs where t_finished is null")).toEqual([["0"]]);
    expect(await query("select count(*) from jobs")).toEqual([[String(jobCount)]]);
    expect(log).toContain("Delivered from the spool");
    for (const fault of Object.keys(usualShares) as Fault[])
      expect([fault, proxy.count(fault)]).not.toEqual([fault, 0]);
  },
);
