// A qemu of an earlier job that still runs in the pool: its pid file is never removed, and no job is taken (field
// lesson 4).
import { readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { readInside } from "../../results/pool-file.ts";

const pidFile = "qemu.pid";
/** A pid and a line end are shorter. */
const maxPidTextBytes = 32;

/** Pid of the qemu named by `qemu.pid`, if such a process runs; undefined otherwise. */
export async function runningQemu(poolDirectory: string): Promise<number | undefined> {
  const found = await lookAtPidFile(poolDirectory);
  return found?.isQemu ? found.pid : undefined;
}

/** As `runningQemu`; a pid file that names none is removed (protocol 3.3 no. 2). */
export async function endStalePidFile(poolDirectory: string): Promise<number | undefined> {
  const found = await lookAtPidFile(poolDirectory);
  if (found?.isQemu === false) await rm(join(poolDirectory, pidFile), { force: true }).catch(() => {});
  return found?.isQemu ? found.pid : undefined;
}

interface NamedProcess {
  readonly pid: number;
  /** Undefined: that cannot be told of the process of another user. */
  readonly isQemu: boolean | undefined;
}

/** Undefined: there is no such file, or it is none that could be read. */
async function lookAtPidFile(poolDirectory: string): Promise<NamedProcess | undefined> {
  try {
    const text = await readInside(poolDirectory, pidFile, maxPidTextBytes);
    if (text === undefined) return undefined;
    const pid = Number.parseInt(text.toString("latin1"), 10);
    return { pid, isQemu: pid > 0 && (await isQemu(pid)) };
  } catch {
    return undefined;
  }
}

async function isQemu(pid: number): Promise<boolean | undefined> {
  try {
    return /\/qemu-[^/]+$/.test(await readlink(`/proc/${pid}/exe`));
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && ["ENOENT", "ESRCH"].includes(`${error.code}`);
    return isGone ? false : undefined;
  }
}
