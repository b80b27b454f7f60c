// Write locks on bytes of files for the lifetime of their holder: open-file-description locks, which the kernel
// releases when the process dies. They and POSIX locks of other programs exclude each other; two holders within one
// process do as well.
import { close as closeFd, constants, ftruncate, open as openFd, write } from "node:fs";
import { promisify } from "node:util";
import { type ByteRange, ofdLockHolder, setOfdLock } from "./libc.ts";

/** A holder may go away between the attempt to lock and the question who it is. */
const maxAttempts = 5;

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
const open = promisify(openFd);
const close = promisify(closeFd);

export class OfdLock {
  // A bare descriptor, which no garbage collection closes. It is close-on-exec: no child inherits the lock.
  private fd: number | undefined;
  constructor(
    fd: number,
    private readonly range: ByteRange,
  ) {
    this.fd = fd;
  }

  /** Replaces the content of the locked file. */
  async write(text: string): Promise<void> {
    if (this.fd === undefined) throw new Error("The lock has been released");
    await promisify(ftruncate)(this.fd, 0);
    await promisify(write)(this.fd, text, 0);
  }

  async release(): Promise<void> {
    const { fd } = this;
    if (fd === undefined) return;
    this.fd = undefined;
    setOfdLock(fd, this.range, false);
    await close(fd);
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
  const fd = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644);
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    if (setOfdLock(fd, range, true)) return new OfdLock(fd, range);
    const holder = ofdLockHolder(fd, range);
    if (holder === undefined) continue;
    await close(fd);
    return { heldBy: knownPid(holder.pid) };
  }
  await close(fd);
  throw new Error(`Cannot lock ${path}: its file system refuses locks`);
}

/** Who has locked any of the bytes, without locking them. Undefined: nobody, or there is no such file. */
export async function lockHolder(path: string, range: ByteRange): Promise<HeldLock | undefined> {
  let fd: number;
  try {
    fd = await open(path, O_RDWR | O_NOFOLLOW);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  const holder = ofdLockHolder(fd, range);
  await close(fd);
  return holder && { heldBy: knownPid(holder.pid) };
}

function knownPid(pid: number): number | undefined {
  return pid > 0 ? pid : undefined;
}
