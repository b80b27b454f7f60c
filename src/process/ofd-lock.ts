// Write locks on bytes of files for the lifetime of their holder: open-file-description locks, which the kernel
// releases when the process dies. They and POSIX locks of other programs exclude each other; two holders within one
// process do as well.
import { constants, type FileHandle, lstat, open } from "node:fs/promises";
import { type ByteRange, type LockInTheWay, ofdLockHolder, setOfdLock } from "./libc.ts";

/** A holder may go away between the attempt to lock and the question who it is. */
const maxAttempts = 5;

const { O_CREAT, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants;

/** Keeps descriptors from being collected, and closed, while nobody but the kernel looks at the lock. */
const heldLocks = new Set<OfdLock>();

export class OfdLock {
  /** The descriptor is close-on-exec: no child inherits the lock. */
  constructor(
    private readonly file: FileHandle,
    private readonly range: ByteRange,
  ) {
    heldLocks.add(this);
  }

  /** Whether the locked file is the one at that path. Throws when that cannot be told. */
  async isAt(path: string): Promise<boolean> {
    const there = await lstat(path, { bigint: true }).catch(ifMissing);
    const mine = await this.file.stat({ bigint: true });
    return there?.ino === mine.ino && there.dev === mine.dev;
  }

  /** Replaces the content of the locked file. */
  async write(text: string): Promise<void> {
    if (!heldLocks.has(this)) throw new Error("The lock has been released");
    await this.file.truncate(0);
    await this.file.write(text, 0);
  }

  async release(): Promise<void> {
    if (!heldLocks.delete(this)) return;
    setOfdLock(this.file.fd, this.range, false);
    await this.file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Somebody else's lock; the pid is known of holders of POSIX locks in this pid namespace only. */
export interface HeldLock {
  readonly heldBy: number | undefined;
}

/**
 * Locks bytes of a file, made when missing (its folder is not). Never waits. Symbolic links are not followed.
 * Throws when the file cannot be opened or its file system has no locks.
 */
export async function tryLockBytes(path: string, range: ByteRange): Promise<OfdLock | HeldLock> {
  return await lockIn(path, (fd) => {
    const inTheWay = lockNow(path, fd, range);
    return inTheWay ? { heldBy: knownPid(inTheWay.pid) } : range;
  });
}

/** Locks the first of the bytes that nobody has; undefined when somebody has each. As `tryLockBytes` otherwise. */
export async function tryLockFreeByte(path: string, bytes: Iterable<number>): Promise<OfdLock | undefined> {
  const lock = await lockIn(path, (fd) => {
    for (const start of bytes) {
      const range = { start, length: 1 };
      if (!lockNow(path, fd, range)) return range;
    }
    return { heldBy: undefined };
  });
  return lock instanceof OfdLock ? lock : undefined;
}

/** Who has locked any of the bytes, without locking them. Undefined: nobody, or there is no such file. */
export async function lockHolder(path: string, range: ByteRange): Promise<HeldLock | undefined> {
  await using file = await openIfThere(path);
  const holder = file && ofdLockHolder(file.fd, range);
  return holder && { heldBy: knownPid(holder.pid) };
}

/** How many of the bytes are locked, by whomever, this process included. 0 when there is no such file. */
export async function countLockedBytes(path: string, range: ByteRange): Promise<number> {
  await using file = await openIfThere(path);
  if (!file) return 0;
  let count = 0;
  const unseen = [range];
  for (let next = unseen.pop(); next; next = unseen.pop()) {
    const inTheWay = ofdLockHolder(file.fd, next);
    if (!inTheWay) continue;
    const end = next.start + next.length;
    const lockedStart = Math.max(next.start, inTheWay.range.start);
    const lockedEnd = Math.min(end, inTheWay.range.start + inTheWay.range.length);
    count += lockedEnd - lockedStart;
    // The kernel tells any of the locks, not the first.
    if (lockedStart > next.start) unseen.push({ start: next.start, length: lockedStart - next.start });
    if (lockedEnd < end) unseen.push({ start: lockedEnd, length: end - lockedEnd });
  }
  return count;
}

/** `lock` locks a range and tells which, or who has it. */
async function lockIn(path: string, lock: (fd: number) => ByteRange | HeldLock): Promise<OfdLock | HeldLock> {
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644);
  try {
    const locked = lock(file.fd);
    if (!("heldBy" in locked)) return new OfdLock(file, locked);
    await file.close();
    return locked;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Undefined when the bytes are locked now, else what is in the way. */
function lockNow(path: string, fd: number, range: ByteRange): LockInTheWay | undefined {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    if (setOfdLock(fd, range, true)) return undefined;
    const inTheWay = ofdLockHolder(fd, range);
    if (inTheWay) return inTheWay;
  }
  throw new Error(`Cannot lock ${path}: its file system refuses locks`);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  return await open(path, O_RDONLY | O_NOFOLLOW).catch(ifMissing);
}

function ifMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}

function knownPid(pid: number): number | undefined {
  return pid > 0 ? pid : undefined;
}
