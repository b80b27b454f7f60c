// What the worker and the supervisor of a job keep in the pool directory, by name. The supervisor loads this.

/** In it: the worker's pid; its bytes are locked (protocol 3.1). */
export const poolLockFile = ".locked";
export const workerByte = { start: 0, length: 1 } as const;
export const supervisorByte = { start: 1, length: 1 } as const;

/** Folder in the pool with what is no file of the job. */
export const stateFolder = ".openqa-worker";
/** What the supervisor is to do. */
export const orderFile = "supervise.json";
/** Who runs. */
export const supervisorFile = "supervisor.json";
/** How isotovideo ended, written when nothing of the job is alive any more. */
export const exitFile = "exit.json";

/** FIFO over which the supervisor reports. */
export const reportFifo = "reports";

/** What lists of processes show: it is started by a path that says nothing. */
export const supervisorName = "openqa-worker";

const markName = "OPENQA_WORKER_JOB";

/**
 * Environment that tells whose a process is: for all processes of a job, and for everything else that the worker starts
 * in a session of its own. `what` is the job's id, or what else it is.
 */
export function jobMark(poolDirectory: string, what: number | string): Record<string, string> {
  return { [markName]: `${poolDirectory}#${what}` };
}

/** Name of the variable, and what its value begins with for everything of a pool. */
export function poolMark(poolDirectory: string): { readonly name: string; readonly start: string } {
  return { name: markName, start: `${poolDirectory}#` };
}
