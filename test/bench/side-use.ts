// What a worker side takes of the machine while it works: the worker's processes, those of its own cache service included.
import { readlink } from "node:fs/promises";
import { basename } from "node:path";
import { type Process, processesOf } from "../e2e/processes.ts";
import type { OpenqaServer } from "../e2e/server.ts";
import { until } from "../e2e/until.ts";
import type { Worker } from "../e2e/workers.ts";
import { cpuMs, peakUntil, sumPssMb } from "./process-figures.ts";
import { isotovideoCpuMs } from "./timing.ts";

/** What a worker still does after a job belongs to it. */
const settleMs = 1000;
const tidyLimitMs = 10_000;

/**
 * CPU time until now of all processes of a side, and of those that they have waited for, without isotovideo's. A job's
 * is in there when no process of it is left, which this waits for.
 */
export async function sideCpuMs(server: OpenqaServer, worker: Worker): Promise<number> {
  await until(
    "no process of a job is left",
    tidyLimitMs,
    async () => (await jobProcesses(worker)).length === 0,
  );
  await Bun.sleep(settleMs);
  const roots = [...worker.pids, ...(worker.service?.daemons ?? []).map(({ pid }) => pid)];
  const pids = [...roots, ...descendants(roots, await processesOf(server.mark))];
  const times = await Promise.all(pids.map(cpuMs));
  const all = times.reduce((sum, { own, ofChildren }) => sum + own + ofChildren, 0);
  return all - (await isotovideoCpuMs(worker));
}

/** What belongs to a job: not what the worker has forked to upload. */
export async function jobProcesses(worker: Worker): Promise<Process[]> {
  const beyondIdle = await worker.jobProcesses();
  const own = (await worker.processes()).filter(({ pid }) => worker.pids.includes(pid));
  return beyondIdle.filter(({ commandLine }) => own.every((one) => one.commandLine !== commandLine));
}

function descendants(pids: readonly number[], all: readonly Process[]): number[] {
  const children = all.filter(({ parentPid }) => pids.includes(parentPid)).map(({ pid }) => pid);
  return children.length === 0 ? [] : [...children, ...descendants(children, all)];
}

/** The most memory (PSS in MB) that `workerPids` had together while something went on. */
export async function peakMbUntil(ended: Promise<unknown>, worker: Worker): Promise<number> {
  return await peakUntil(ended, async () => sumPssMb(await workerPids(worker)));
}

/** The worker, its supervisors, its picture process, its forks; not isotovideo and what belongs to it. */
export async function workerPids(worker: Worker): Promise<number[]> {
  const all = await Promise.all(
    (await worker.processes()).map(async (one) => ({ pid: one.pid, program: await programOf(one) })),
  );
  const own = all.filter(({ pid }) => worker.pids.includes(pid)).map(({ program }) => program);
  return all.filter(({ program }) => own.includes(program)).map(({ pid }) => pid);
}

/** The file that runs. isotovideo and the stock worker are both Perl: there the whole command line, which forks keep. */
async function programOf({ pid, commandLine }: Process): Promise<string> {
  const path = await readlink(`/proc/${pid}/exe`).catch(() => "");
  return basename(path) === "perl" ? commandLine : path;
}
