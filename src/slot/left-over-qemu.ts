// A qemu of an earlier job that still runs in the pool: its pid file is never removed, and no job is taken.
import { readFile, readlink } from "node:fs/promises";
import { basename, join } from "node:path";

/** Pid of the qemu named by `qemu.pid`, if such a process runs; undefined otherwise. */
export async function runningQemu(poolDirectory: string): Promise<number | undefined> {
  try {
    const pid = Number.parseInt(await readFile(join(poolDirectory, "qemu.pid"), "latin1"), 10);
    if (!(pid > 0)) return undefined;
    const executable = basename(await readlink(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, "");
    return executable.startsWith("qemu-") ? pid : undefined;
  } catch {
    return undefined; // No such file, no such process, or a process of somebody else.
  }
}
