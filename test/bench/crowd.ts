// A worker with many slots, a job in each, that all end within the same seconds. Throws when anything of them gets lost.

import { until } from "../e2e/until.ts";
import { type FakeJob, type FakeWebUi, startFakeWebUi } from "../support/fake-web-ui.ts";
import { plainJob, startWorker, type TemporaryWorker } from "../support/temporary-worker.ts";
import { type Lag, lastLag } from "./logged-lag.ts";
import { cpuMs, peakUntil, pssMb, sumPssMb } from "./process-figures.ts";

/** The jobs' own ends are spread evenly over so many seconds. */
export const endsWithinS = 8;

/** What it took. Of the worker's own process where nothing else is said. */
export interface Crowd {
  readonly slots: number;
  readonly registeredS: number;
  /** From the offers to the last end. */
  readonly cpuMs: number;
  /** PSS. */
  readonly peakMb: number;
  /** PSS of the worker and all supervisors, while all jobs ran. */
  readonly sideMb: number;
  /** From the first `set_done` to the last. */
  readonly doneSpanS: number;
  /** While it had jobs. */
  readonly lag: Lag;
}

const limitMs = 300_000;
/** Between offers: what the start of isotovideo costs is not what is looked at. */
const offerMs = 100;
/** From the last offer to the first end: for the last one to start, and for memory to be read. */
const restMs = 5000;
const leftLimitMs = 10_000;
/** Pictures, thumbnails, and the names of texts and logs, of a job that has passed. */
const expected =
  "2 2 a.log autoinst-log.txt boot-2.txt serial0.txt shell-2.txt vars.json video.ogv worker-log.txt";

/** As they are by default: the tests' own are for a web UI with one worker. */
const own = {
  "timeouts.answer_ms": 60_000,
  "timeouts.idle_ms": 60_000,
  "timeouts.request_ms": 300_000,
  "timeouts.websocket_ms": 20_000,
  "report.interval_ms": 10_000,
};
const global = { STATUS_MIN_INTERVAL: 60, STATUS_MAX_INTERVAL: 300 };

export async function runCrowd(slots: number): Promise<Crowd> {
  const ui = await startFakeWebUi();
  try {
    const startedMs = performance.now();
    await using worker = await startWorker(ui, { instances: `1-${slots}`, global, own });
    const workerIds = await registered(ui, slots);
    const registeredS = (performance.now() - startedMs) / 1000;
    const before = await cpuMs(worker.pid);
    const run = runJobs(ui, workerIds, worker);
    const peakMb = await peakUntil(run, () => pssMb(worker.pid));
    const { jobs, sideMb } = await run;
    const after = await cpuMs(worker.pid);
    checkNothingLost(ui, jobs);
    await checkNothingLeft(worker);
    return {
      slots,
      registeredS,
      cpuMs: after.own - before.own,
      peakMb,
      sideMb,
      doneSpanS: doneSpan(ui),
      lag: await lagAtEnd(worker),
    };
  } finally {
    await ui.stop();
  }
}

async function registered(ui: FakeWebUi, slots: number): Promise<number[]> {
  const ids = new Set<number>();
  await ui.message(({ workerId }) => ids.add(workerId).size === slots, { timeoutMs: limitMs });
  return [...ids];
}

/** Resolves when all are done. */
async function runJobs(
  ui: FakeWebUi,
  workerIds: readonly number[],
  worker: TemporaryWorker,
): Promise<{ readonly jobs: readonly FakeJob[]; readonly sideMb: number }> {
  const jobs: FakeJob[] = [];
  const firstEndMs = Date.now() + workerIds.length * offerMs + restMs;
  for (const [index, id] of workerIds.entries()) {
    const endAt = firstEndMs / 1000 + (endsWithinS * index) / workerIds.length;
    jobs.push(ui.offer({ ...plainJob, FAKE_END_AT: String(endAt), FAKE_TREE: "1", FAKE_ULOGS: "a.log" }, id));
    await Bun.sleep(offerMs);
  }
  const sideMb = await sideWhileRunning(jobs, worker);
  // Not by waiting for each: two hundred looks at each request would keep the stand-in busy.
  await until("all jobs are done", limitMs, async () => jobs.every(({ state }) => state === "done"));
  return { jobs, sideMb };
}

/** Throws when the machine is too slow for all jobs to run at the same time. */
async function sideWhileRunning(jobs: readonly FakeJob[], worker: TemporaryWorker): Promise<number> {
  const isTooLate = () => jobs.some(({ state }) => state === "done");
  const supervisors = await until("each job has a supervisor", limitMs, async () => {
    if (isTooLate()) throw new Error("a job ended before all had begun");
    const found = jobs.every(({ state }) => state === "running") ? await worker.supervisors() : [];
    return found.length === jobs.length ? found : undefined;
  });
  const sizeMb = await sumPssMb([worker.pid, ...supervisors.map(({ pid }) => pid)]);
  if (isTooLate()) throw new Error("a job ended while memory was read");
  return sizeMb;
}

function checkNothingLost(ui: FakeWebUi, jobs: readonly FakeJob[]): void {
  for (const { id, result, reason, pictures, thumbnails, files } of jobs) {
    const ends = ui.requestsOf(id).filter(({ path }) => path.endsWith("/set_done")).length;
    const found = [pictures.size, thumbnails.size, ...[...files.keys()].sort()].join(" ");
    if (result !== "passed" || ends !== 1 || found !== expected)
      throw new Error(
        `job ${id}: ${result} ${reason}, ended ${ends} times, with ${found}; expected ${expected}`,
      );
  }
}

/** A process of a job may live on until its supervisor has ended it, which it tells nobody outside. */
async function checkNothingLeft(worker: TemporaryWorker): Promise<void> {
  await until("no process of a job is left", leftLimitMs, async () => {
    return (await worker.bornSince()).length === 1;
  });
}

function doneSpan(ui: FakeWebUi): number {
  const ends = ui.requests.filter(({ path }) => path.endsWith("/set_done")).map(({ atMs }) => atMs);
  return (Math.max(...ends) - Math.min(...ends)) / 1000;
}

async function lagAtEnd(worker: TemporaryWorker): Promise<Lag> {
  worker.kill("SIGTERM");
  await worker.exit();
  const lag = lastLag(worker.log);
  if (lag === undefined) throw new Error("the worker has not logged how late its event loop was");
  return lag;
}
