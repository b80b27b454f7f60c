// How many downloads there are at once into the folder of a host (CACHEWORKERS), so that a web UI that is away keeps
// nobody from another one, and how many wait for their turn, over all hosts and processes.
import type { Context } from "../../context.ts";
import { CacheError, errorText } from "../../errors.ts";
import { countLockedBytes } from "../../process/ofd-lock.ts";
import { type CacheFolder, hashOf } from "../cache-folder.ts";
import type { Claim } from "./claims.ts";
import { lockWhenFree, takePlace, tryLock } from "./lock-queue.ts";

/** Bytes of the file that says how many wait: far more than ever wait, so that a random one is free. */
const waitingBytes = 100_000;
const maxPicks = 100;

export interface PermitOptions {
  /** Name of its folder. */
  readonly host: string;
  readonly count: number;
  /** Between looks at what other processes have. */
  readonly retryMs: number;
}

/**
 * One of `count` permits, in order of arrival within this process; other processes are looked at every `retryMs`.
 * While it waits, it counts as waiting. Processes may have different counts: each looks at its own. Throws the
 * signal's reason when that is aborted, `CacheError` when the files of locks cannot be used.
 */
export async function takePermit(
  folder: CacheFolder,
  { host, count, retryMs }: PermitOptions,
  { signal }: Context,
): Promise<Claim> {
  signal.throwIfAborted();
  const file = `${folder.permitsFile}-${hashOf(host)}`;
  const attempt = () => tryLock(file, Array(count).keys());
  const place = takePlace(file);
  try {
    const free = place.isFirst ? await attempt() : undefined;
    if (free) return free;
    await using _ = await countAsWaiting(folder);
    await place.turn(signal);
    return await lockWhenFree(attempt, retryMs, signal);
  } finally {
    place.leave();
  }
}

/** How many wait for a permit now, over all processes. Throws `CacheError`. */
export async function waitingDownloads({ waitingFile }: CacheFolder): Promise<number> {
  try {
    return await countLockedBytes(waitingFile, { start: 0, length: waitingBytes });
  } catch (error) {
    throw new CacheError(`Cannot tell how many downloads wait: ${errorText(error)}`, { cause: error });
  }
}

async function countAsWaiting({ waitingFile }: CacheFolder): Promise<Claim> {
  const picks = Array.from({ length: maxPicks }, () => Math.floor(Math.random() * waitingBytes));
  const lock = await tryLock(waitingFile, picks);
  if (!lock) throw new CacheError(`About ${waitingBytes} downloads wait already: see ${waitingFile}`);
  return lock;
}
