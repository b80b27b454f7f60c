// What a worker side takes of the machine while it works: the worker's processes, those of its own cache service included.
import { type Process, processesOf } from "../e2e/processes.ts";
import type { OpenqaServer } from "../e2e/server.ts";
import { until } from "../e2e/until.ts";
import type { Worker } from "../e2e/workers.ts";
import { cpuMs, sumPssMb } from "./process-figures.ts";
import { isotovideoCpuMs } from "./timing.ts";

const lookMs = 200;
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
  const roots = [...worker.pids, ...(worker.service?.daemons ?? []).map(({ pid }) => pid)];
  const pids = [...roots, ...descendants(roots, await processesOf(server.mark))];
  const times = await Promise.all(pids.map(cpuMs));
  const all = times.reduce((sum, { own, ofChildren }) => sum + own + ofChildren, 0);
  return all - (await isotovideoCpuMs(worker));
}

/**
 * What belongs to a job: not what the worker has forked to upload, nor the picture process, which serves all slots and
 * stays for a while.
 */
export async function jobProcesses(worker: Worker): Promise<Process[]> {
  const beyondIdle = await worker.jobProcesses();
  const own = (await worker.processes()).filter(({ pid }) => worker.pids.includes(pid));
  return beyondIdle.filter(
    ({ commandLine }) =>
      !commandLine.endsWith("__pictures") && own.every((one) => one.commandLine !== commandLine),
  );
}

function descendants(pids: readonly number[], all: readonly Process[]): number[] {
  const children = all.filter(({ parentPid }) => pids.includes(parentPid)).map(({ pid }) => pid);
  return children.length === 0 ? [] : [...children, ...descendants(children, all)];
}

/** The most memory (PSS in MB) that processes of the worker's own program had together while something went on. */
export async function peakMbUntil(ended: Promise<unknown>, worker: Worker): Promise<number> {
  let isOver = false;
  const over = ended.finally(() => {
    isOver = true;
  });
  let peakMb = 0;
  while (!isOver) {
    peakMb = Math.max(peakMb, await sumPssMb((await workerProcesses(worker)).map(({ pid }) => pid)));
    await Promise.race([over, Bun.sleep(lookMs)]);
  }
  await over;
  return peakMb;
}

/** Of a side: the worker, its supervisors, its forks; not isotovideo and what belongs to it. */
async function workerProcesses(worker: Worker): Promise<Process[]> {
  const all = await worker.processes();
  const programs = all.filter(({ pid }) => worker.pids.includes(pid)).map(programOf);
  return all.filter((one) => programs.includes(programOf(one)));
}

/** A Perl script is named after its interpreter. */
function programOf({ commandLine }: Process): string | undefined {
  return /^(\S*perl )?\S+/.exec(commandLine)?.[0];
}
