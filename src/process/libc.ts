// The system calls that Bun has no function for. 64-bit Linux with glibc only; nothing else calls bun:ffi.
import { dlopen } from "bun:ffi";

const { symbols } = dlopen("libc.so.6", {
  madvise: { args: ["u64", "u64", "i32"], returns: "i32" },
  mkfifo: { args: ["ptr", "u32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "ptr"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  waitid: { args: ["i32", "u32", "ptr", "i32"], returns: "i32" },
  waitpid: { args: ["i32", "ptr", "i32"], returns: "i32" },
});

const MFD_CLOEXEC = 1;
const MADV_DONTNEED = 4;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;
const PR_SET_CHILD_SUBREAPER = 36;
const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;

/** Bytes of a file that a lock covers. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** Locks (for writing) or unlocks bytes for the open file description; never waits. False: somebody else has them. */
export function setOfdLock(fd: number, range: ByteRange, isLocked: boolean): boolean {
  return symbols.fcntl(fd, F_OFD_SETLK, flock(range, isLocked ? F_WRLCK : F_UNLCK)) === 0;
}

export interface LockInTheWay {
  /** -1 when it belongs to an open file description too, 0 when to a process of another pid namespace. */
  readonly pid: number;
  /** All that it covers; of infinite length when there is no end to it. */
  readonly range: ByteRange;
}

/**
 * What keeps this open file description from locking the bytes: any one, when there are several. Throws when that
 * cannot be told.
 */
export function ofdLockHolder(fd: number, range: ByteRange): LockInTheWay | undefined {
  const buffer = flock(range, F_WRLCK);
  const view = new DataView(buffer.buffer);
  if (symbols.fcntl(fd, F_OFD_GETLK, buffer) !== 0)
    throw new Error("The file system does not tell of locks (F_OFD_GETLK failed)");
  if (view.getInt16(0, true) === F_UNLCK) return undefined;
  const start = Number(view.getBigInt64(8, true));
  const length = Number(view.getBigInt64(16, true)) || Number.POSITIVE_INFINITY;
  return { pid: view.getInt32(24, true), range: { start, length } };
}

/** struct flock: l_type, l_whence, l_start at 8, l_len at 16, l_pid at 24. */
function flock({ start, length }: ByteRange, type: number): Uint8Array<ArrayBuffer> {
  const buffer = new Uint8Array(32);
  const view = new DataView(buffer.buffer);
  view.setInt16(0, type, true);
  view.setBigInt64(8, BigInt(start), true);
  view.setBigInt64(16, BigInt(length), true);
  return buffer;
}

/** Makes a FIFO; the umask takes its share of the mode. Nothing may be at the path, not even a link. */
export function makeFifo(path: string, mode: number): void {
  if (symbols.mkfifo(Buffer.from(`${path}\0`), mode) !== 0)
    throw new Error(
      `Unable to make the FIFO ${path}: something is there, or its folder cannot be written to`,
    );
}

/** Makes a file that is in memory only, until its last descriptor is closed; returns one for reading and writing. */
export function createMemoryFile(name: string): number {
  // Loaded here: hardly any process needs it.
  const memory = dlopen("libc.so.6", { memfd_create: { args: ["ptr", "u32"], returns: "i32" } });
  const fd = memory.symbols.memfd_create(Buffer.from(`${name}\0`), MFD_CLOEXEC);
  if (fd === -1) throw new Error("The system makes no files in memory (memfd_create failed)");
  return fd;
}

/**
 * Loads a shared library for the rest of the process: what is loaded later and needs one of its name (SONAME) gets this
 * one. Some function of the library has to be named. Throws when it cannot be loaded.
 */
export function loadLibrary(path: string, anyFunction: string): void {
  dlopen(path, { [anyFunction]: { args: [], returns: "void" } });
}

/** Drops pages of a mapping that nobody has written to; they come back from their file. */
export function releasePages(address: bigint, length: bigint): void {
  symbols.madvise(address, length, MADV_DONTNEED);
}

/** Makes this process the parent of descendants whose own parent has ended. */
export function setChildSubreaper(): void {
  if (symbols.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) !== 0)
    throw new Error("prctl(PR_SET_CHILD_SUBREAPER) failed");
}

export interface ChildState {
  /** For a child subreaper without any, no descendant exists: this is the kernel's word, not a scan's. */
  readonly hasChildren: boolean;
  /** One that has ended and is not reaped; it stays so. */
  readonly endedPid: number | undefined;
}

export function childState(): ChildState {
  const info = new Uint8Array(128);
  if (symbols.waitid(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT) !== 0)
    return { hasChildren: false, endedPid: undefined };
  return { hasChildren: true, endedPid: new DataView(info.buffer).getInt32(16, true) || undefined };
}

/** Reaps one child if it has ended. Never for a child that Bun has started: its exit status would be lost. */
export function reap(pid: number): boolean {
  return pid > 0 && symbols.waitpid(pid, null, WNOHANG) === pid;
}
