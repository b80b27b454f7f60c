// What /proc says about processes: who is alive, who descends from whom, who carries a marker in its environment.
// A scan is no snapshot: it may miss the child of a process that ends meanwhile, so whoever must be sure scans again.
import { readdir, readFile } from "node:fs/promises";

/** A process; pid and start time together are never used again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start. */
  readonly startTicks: string;
}

export interface ProcessEntry extends ProcessIdentity {
  readonly parentPid: number;
  readonly sessionId: number;
  /** As in /proc/PID/stat: R, S, D, T, Z … */
  readonly state: string;
  /** Name of its program, cut by the kernel to 15 bytes. */
  readonly name: string;
}

/** Every process that can be seen, zombies included. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  const entries = await Promise.all((await allPids()).map(readProcess));
  return entries.filter((entry) => entry !== undefined);
}

/** Undefined when there is no such process (any more). */
export async function readProcess(pid: number): Promise<ProcessEntry | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => undefined);
  return text === undefined ? undefined : parseStat(text);
}

/** Undefined when the line is none of /proc/PID/stat. The name may itself contain spaces and parentheses. */
export function parseStat(text: string): ProcessEntry | undefined {
  const [, pid, name, rest] = /^(\d+) \((.*)\) (.*)/s.exec(text) ?? [];
  const fields = rest?.split(" ") ?? [];
  const [state, parentPid, , sessionId] = fields;
  const startTicks = fields[19];
  if (state === undefined || startTicks === undefined) return undefined;
  return {
    pid: Number(pid),
    name: name ?? "",
    state,
    parentPid: Number(parentPid),
    sessionId: Number(sessionId),
    startTicks,
  };
}

/** A zombie has ended: only its parent can take it away. */
export function isAlive({ state }: ProcessEntry): boolean {
  return state !== "Z" && state !== "X";
}

/** For messages: "NAME (PID)". */
export function nameOf({ name, pid }: ProcessEntry): string {
  return `${name} (${pid})`;
}

/** Whether this very process still runs, and not a later one of the same pid. */
export async function isRunning({ pid, startTicks }: ProcessIdentity): Promise<boolean> {
  const entry = await readProcess(pid);
  return entry !== undefined && entry.startTicks === startTicks && isAlive(entry);
}

/** All processes below those of the given pids, without these. */
export function descendantsOf(
  pids: Iterable<number>,
  processes: readonly ProcessEntry[],
): readonly ProcessEntry[] {
  const children = Map.groupBy(processes, ({ parentPid }) => parentPid);
  const found = new Map<number, ProcessEntry>();
  const roots = new Set(pids);
  const pending = [...roots];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop())
    for (const child of children.get(pid) ?? [])
      if (!found.has(child.pid) && !roots.has(child.pid)) {
        found.set(child.pid, child);
        pending.push(child.pid);
      }
  return [...found.values()];
}

/** Value of an environment variable by pid, of all processes that were started with it (and may be read). */
export async function environmentValues(name: string): Promise<ReadonlyMap<number, string>> {
  const values = new Map<number, string>();
  const start = `\0${name}=`;
  const read = async (pid: number) => {
    const environment = `\0${await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "")}`;
    const at = environment.indexOf(start);
    if (at !== -1) values.set(pid, environment.slice(at + start.length).split("\0", 1)[0] ?? "");
  };
  await Promise.all((await allPids()).map(read));
  return values;
}

async function allPids(): Promise<number[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
}
