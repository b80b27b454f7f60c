// Finds and ends the processes of a pool's job without its supervisor's help: when that was killed, hangs, or is one
// of an earlier worker.
import {
  isAlive,
  isRunning,
  type ProcessEntry,
  type ProcessIdentity,
  readProcess,
} from "../process/process-entry.ts";
import { descendantsOf, environmentValues, listProcesses } from "../process/process-list.ts";
import { type Swept, signalProcess, sweep, sweepBelow } from "../process/sweep.ts";
import { poolMark } from "./pool-state.ts";

/** Kills all that belongs to the pool's job and is found without its supervisor. */
export async function killStrays(poolDirectory: string): Promise<Swept> {
  return await sweep(strays(poolDirectory), { graceMs: 0 });
}

/** All that belongs to the pool's job as far as it is found without its supervisor, which is among them. */
export async function findStrays(poolDirectory: string): Promise<readonly ProcessEntry[]> {
  return (await strays(poolDirectory)(await listProcesses())).filter(isAlive);
}

/** Kills a supervisor, but first all below it, while it still is the one who adopts them. */
export async function killSupervised(supervisor: ProcessIdentity): Promise<Swept> {
  if (!(await isRunning(supervisor))) return { ended: [], left: [] };
  await signalProcess(supervisor, "SIGSTOP");
  const swept = await sweepBelow(supervisor.pid, { graceMs: 0 });
  await signalProcess(supervisor, "SIGKILL");
  return swept;
}

/**
 * Whoever carries the pool's mark, what this process has adopted without any, and all below these. A process that has
 * cleared its environment has been adopted if it has a session of its own: this process starts none of these unmarked.
 */
function strays(poolDirectory: string) {
  const { name, start } = poolMark(poolDirectory);
  return async (all: readonly ProcessEntry[]): Promise<readonly ProcessEntry[]> => {
    const marks = await environmentValues(name);
    const session = (await readProcess(process.pid))?.sessionId;
    const belongs = ({ pid, parentPid, sessionId }: ProcessEntry) => {
      const mark = marks.get(pid);
      if (mark !== undefined) return mark.startsWith(start);
      return parentPid === process.pid && sessionId !== session;
    };
    const found = all.filter(belongs);
    const pids = found.map(({ pid }) => pid);
    return [...found, ...descendantsOf(pids, all)];
  };
}
