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
import { jobMarker, markerStart } from "./pool-state.ts";

/** Supervisors that this process has started and that have not ended. */
export const ownSupervisors = new Set<number>();

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
 * Whoever was started with the pool's marker; what this process has adopted, as a child subreaper, and what carries no
 * other job's marker: whatever clears its environment has a session of its own all the same. And all below these.
 */
function strays(poolDirectory: string) {
  return async (all: readonly ProcessEntry[]): Promise<readonly ProcessEntry[]> => {
    const markers = await environmentValues(jobMarker);
    const session = (await readProcess(process.pid))?.sessionId;
    const isAdopted = ({ pid, parentPid, sessionId }: ProcessEntry) =>
      parentPid === process.pid && sessionId !== session && !ownSupervisors.has(pid) && !markers.has(pid);
    const isMarked = ({ pid }: ProcessEntry) =>
      markers.get(pid)?.startsWith(markerStart(poolDirectory)) === true;
    const found = all.filter((entry) => isMarked(entry) || isAdopted(entry));
    return [
      ...found,
      ...descendantsOf(
        found.map(({ pid }) => pid),
        all,
      ),
    ];
  };
}
