// What the worker and the supervisor of a job keep in the pool directory, by name. No code: the supervisor loads this.

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

/** What lists of processes show: it is started by a path that says nothing. */
export const supervisorName = "openqa-worker";

/** Environment variable that all processes of a job are started with. */
export const jobMarker = "OPENQA_WORKER_JOB";

/** Start of its value, the same for all jobs of a pool. */
export function markerStart(poolDirectory: string): string {
  return `${poolDirectory}#`;
}
