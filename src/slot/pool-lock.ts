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
  /**
   * Why the pool is not this worker's any more; undefined: it is. A pool that was removed, or made again, is locked
   * anew, unless somebody else was faster. Never rejects.
   */
  findProblem(): Promise<string | undefined>;
  release(): Promise<void>;
}

/**
 * Makes the pool directory when missing, and locks it until the process dies; the file then holds the pid.
 * Throws `SlotTakenError` when another worker has it, `UsageError` when the directory cannot be made or written to.
 */
export async function lockPool(poolDirectory: string): Promise<PoolLock> {
  return new LockedPool(poolDirectory, await takeLock(poolDirectory));
}

class LockedPool implements PoolLock {
  private isReleased = false;
  /** Two looks at the same time would take the lock from each other. */
  private looking: Promise<string | undefined> | undefined;

  constructor(
    readonly poolDirectory: string,
    private lock: OfdLock,
  ) {}

  findProblem(): Promise<string | undefined> {
    this.looking ??= this.look().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  async release(): Promise<void> {
    this.isReleased = true;
    await this.looking;
    await this.lock.release();
  }

  private async look(): Promise<string | undefined> {
    const { poolDirectory } = this;
    if (this.isReleased) return `The lock of the pool directory ${poolDirectory} has been released`;
    try {
      if (await this.lock.isAt(join(poolDirectory, poolLockFile))) return undefined;
      const lost = this.lock;
      this.lock = await takeLock(poolDirectory);
      await lost.release();
      return undefined;
    } catch (error) {
      if (error instanceof SlotTakenError) return error.message;
      return `Unable to lock pool directory: ${errorText(error)}`;
    }
  }
}

async function takeLock(poolDirectory: string): Promise<OfdLock> {
  const path = join(poolDirectory, poolLockFile);
  const lock = await lockWorkerByte(poolDirectory, path);
  if (!(lock instanceof OfdLock))
    throw new SlotTakenError(poolDirectory, lock.heldBy ?? (await writtenPid(path)));
  // On a full disk only the pid is missing: that it is full makes the slot unavailable.
  await lock.write(`${process.pid}\n`).catch(() => {});
  return lock;
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
