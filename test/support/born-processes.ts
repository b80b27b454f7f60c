// Which processes a test has brought into being and not got rid of: the kernel's answer, not one by names or markers.
// Importing this makes the test process a child subreaper, so whatever a worker starts stays below it, even when it
// double-forks, calls setsid or clears its environment.
import { dlopen } from "bun:ffi";
import { readdir, readFile, readlink } from "node:fs/promises";

const PR_SET_CHILD_SUBREAPER = 36;
const libc = dlopen("libc.so.6", {
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
});
if (libc.symbols.prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) !== 0) throw new Error("prctl failed");

export interface BornProcess {
  readonly pid: number;
  /** Clock ticks since boot: tells a process from a later one of the same pid. */
  readonly startTicks: string;
  readonly command: string;
  /** Path of its program. */
  readonly program: string;
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  readonly startTicks: string;
}

/** Every living process below this one; zombies have ended. */
export async function livingDescendants(): Promise<BornProcess[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const stats = (await Promise.all(pids.map(readStat))).filter((stat) => stat !== undefined);
  const parents = new Map(stats.map(({ pid, parent }) => [pid, parent]));
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === process.pid || isBelow(parents.get(pid)));
  const below = stats.filter(({ parent, state }) => state !== "Z" && state !== "X" && isBelow(parent));
  const described = await Promise.all(below.map(describe));
  // One without either has given its memory back meanwhile: it has ended.
  return described.filter(({ command, program }) => command !== "" || program !== "");
}

async function readStat(pid: string): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => undefined);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    pid: Number(pid),
    state: fields[0] ?? "",
    parent: Number(fields[1]),
    startTicks: fields[19] ?? "",
  };
}

async function describe({ pid, startTicks }: Stat): Promise<BornProcess> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  const program = await readlink(`/proc/${pid}/exe`).catch(() => "");
  return { pid, startTicks, program, command: commandLine.replaceAll("\0", " ").trim() };
}
