// Who holds a pool directory (protocol 3.1): the worker byte 0 of `.locked`, the supervisor of a running job byte 1.
// A stock worker locks the whole file, so it stays out as long as either is alive.
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { errorText, SlotTakenError, UsageError } from "../errors.ts";
import { poolLockFile, supervisorByte, workerByte } from "../isotovideo/pool-state.ts";
import { lockHolder, OfdLock, tryLockBytes } from "../process/ofd-lock.ts";

/** A pid and a line end are shorter. */
const maxPidTextBytes = 16;

export interface PoolLock {
  readonly poolDirectory: string;
  release(): Promise<void>;
}

/**
 * Makes the pool directory when missing, and locks it until the process dies; the file then holds the pid.
 * Throws `SlotTakenError` when another worker has it, `UsageError` when the directory cannot be made or written to.
 */
export async function lockPool(poolDirectory: string): Promise<PoolLock> {
  const path = join(poolDirectory, poolLockFile);
  const lock = await lockWorkerByte(poolDirectory, path);
  if (!(lock instanceof OfdLock))
    throw new SlotTakenError(poolDirectory, lock.heldBy ?? (await writtenPid(path)));
  await lock.write(`${process.pid}\n`);
  return { poolDirectory, release: () => lock.release() };
}

async function lockWorkerByte(poolDirectory: string, path: string) {
  try {
    await mkdir(poolDirectory, { recursive: true });
    return await tryLockBytes(path, workerByte);
  } catch (error) {
    const advice = "run as the user that it belongs to, or set OPENQA_BASEDIR";
    throw new UsageError(
      `Unable to use the pool directory ${poolDirectory}: ${errorText(error)} (${advice})`,
      {
        cause: error,
      },
    );
  }
}

/** Whether the supervisor of a job still runs there: one of an earlier worker, when this one has started none. */
export async function supervisorHolds(poolDirectory: string): Promise<boolean> {
  return (await lockHolder(join(poolDirectory, poolLockFile), supervisorByte)) !== undefined;
}

/** The kernel does not tell the pid of a worker like this one: it has written it. */
async function writtenPid(path: string): Promise<number | undefined> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxPidTextBytes), 0, maxPidTextBytes, 0);
    const match = /^(\d+)\n/.exec(buffer.toString("latin1", 0, bytesRead));
    return match ? Number(match[1]) : undefined;
  } finally {
    await file.close();
  }
}
