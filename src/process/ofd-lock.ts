// Write locks on bytes of files for the lifetime of their holder: open-file-description locks, which the kernel
// releases when the process dies. They and POSIX locks of other programs exclude each other; two holders within one
// process do as well.
import { constants, type FileHandle, open } from "node:fs/promises";
import { type ByteRange, ofdLockHolder, setOfdLock } from "./libc.ts";

/** A holder may go away between the attempt to lock and the question who it is. */
const maxAttempts = 5;

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;

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
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644);
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    if (setOfdLock(file.fd, range, true)) return new OfdLock(file, range);
    const holder = ofdLockHolder(file.fd, range);
    if (holder === undefined) continue;
    await file.close();
    return { heldBy: knownPid(holder.pid) };
  }
  await file.close();
  throw new Error(`Cannot lock ${path}: its file system refuses locks`);
}

/** Who has locked any of the bytes, without locking them. Undefined: nobody, or there is no such file. */
export async function lockHolder(path: string, range: ByteRange): Promise<HeldLock | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, O_RDWR | O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  const holder = ofdLockHolder(file.fd, range);
  await file.close();
  return holder && { heldBy: knownPid(holder.pid) };
}

function knownPid(pid: number): number | undefined {
  return pid > 0 ? pid : undefined;
}
