// Waiting for locks of the cache. The kernel's own waiting would block, so a lock is looked at again and again, by one
// waiter per process and lock: the others stand in line behind that one.
import { abortable } from "../../abortable.ts";
import { CacheError, errorText } from "../../errors.ts";
import { type OfdLock, tryLockFreeByte } from "../../process/ofd-lock.ts";
import { sleep } from "../../sleep.ts";

/** So much longer or shorter than asked for, at most: processes shall not look in step. */
const retryJitter = 0.3;

/** The end of each line of this process, settled when everybody in it has left. */
const lines = new Map<string, Promise<void>>();

export interface Place {
  /** Nobody is before this place. */
  readonly isFirst: boolean;
  /** Resolves when everybody before has left; throws the signal's reason when that is aborted. */
  turn(signal: AbortSignal): Promise<void>;
  /** Lets the next one have its turn; to be called in any case, at any time, any number of times. */
  leave(): void;
}

/** A place at the end of a line. */
export function takePlace(line: string): Place {
  const before = lines.get(line);
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = Promise.all([before, promise]).then(() => {
    if (lines.get(line) === end) lines.delete(line);
  });
  lines.set(line, end);
  return {
    isFirst: before === undefined,
    turn: (signal) => abortable(before ?? Promise.resolve(), signal),
    leave: resolve,
  };
}

/** Attempts until one gives something, about every `retryMs`, or the signal is aborted. */
export async function lockWhenFree<T>(
  attempt: () => Promise<T | undefined>,
  retryMs: number,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const lock = await attempt();
    if (lock !== undefined) return lock;
    await sleep(retryMs * (1 + retryJitter * (2 * Math.random() - 1)), signal);
  }
}

/** The first of the bytes that nobody has; undefined when somebody has each. Throws `CacheError`. */
export async function tryLock(file: string, bytes: Iterable<number>): Promise<OfdLock | undefined> {
  try {
    return await tryLockFreeByte(file, bytes);
  } catch (error) {
    const advice =
      "the cache needs a folder that the worker's user can write to, on a file system with locks";
    throw new CacheError(`Cannot use the locks of the cache in ${file}: ${errorText(error)} (${advice})`, {
      cause: error,
    });
  }
}
