// A worker with many slots, a job in each, that all end within the same seconds. Throws when anything of them gets lost.

import { until } from "../e2e/until.ts";
import { type FakeJob, type FakeWebUi, startFakeWebUi } from "../support/fake-web-ui.ts";
import { plainJob, startWorker, type TemporaryWorker } from "../support/temporary-worker.ts";
import { cpuMs, pssMb, sumPssMb } from "./process-figures.ts";

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
  readonly lag: Lag | undefined;
}

/** How late the worker's event loop was while it had jobs, as it says itself; in milliseconds. */
export interface Lag {
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

const limitMs = 300_000;
/** Between looks at memory, and at whether all is done. */
const lookMs = 200;
/** Time for all jobs to be started and for their memory to be read, before the first ends. */
const startMs = { fixed: 5000, perSlot: 100 };
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
    const jobs = offerAll(ui, workerIds);
    const [peakMb, sideMb] = await Promise.all([peakUntilDone(jobs, worker), sideWhileRunning(jobs, worker)]);
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

function offerAll(ui: FakeWebUi, workerIds: readonly number[]): FakeJob[] {
  const firstEnd = Date.now() + startMs.fixed + startMs.perSlot * workerIds.length;
  return workerIds.map((id, index) => {
    const endAt = firstEnd / 1000 + (endsWithinS * index) / workerIds.length;
    const settings = { ...plainJob, FAKE_END_AT: String(endAt), FAKE_TREE: "1", FAKE_ULOGS: "a.log" };
    return ui.offer(settings, id);
  });
}

/** Resolves with the most memory that the worker has had until all jobs are done. */
async function peakUntilDone(jobs: readonly FakeJob[], { pid }: TemporaryWorker): Promise<number> {
  let peakMb = 0;
  for (const end = performance.now() + limitMs; performance.now() < end; await Bun.sleep(lookMs)) {
    peakMb = Math.max(peakMb, await pssMb(pid));
    if (jobs.every(({ state }) => state === "done")) return peakMb;
  }
  throw new Error(
    `only ${jobs.filter(({ state }) => state === "done").length} of ${jobs.length} jobs came to an end`,
  );
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

/** What it logs when it ends. Undefined for an executable that does not look at its event loop. */
async function lagAtEnd(worker: TemporaryWorker): Promise<Lag | undefined> {
  worker.kill("SIGTERM");
  await worker.exit();
  const lines = [
    ...worker.log.matchAll(/Event loop: late by (\S+) ms \(median\), (\S+) ms \(p99\), (\S+) ms \(max\)/g),
  ];
  const [, median, p99, max] = lines.at(-1) ?? [];
  return max === undefined ? undefined : { median: Number(median), p99: Number(p99), max: Number(max) };
}
