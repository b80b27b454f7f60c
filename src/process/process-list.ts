// What /proc says about processes: who is alive, who descends from whom, who carries a marker in its environment.
// A scan is no snapshot: it may miss the child of a process that ends meanwhile, so whoever must be sure scans again.
import { readdir } from "node:fs/promises";
import { type ProcessEntry, readProcess } from "./process-entry.ts";

/** Every process that can be seen, zombies included. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  const entries = await Promise.all((await allPids()).map(readProcess));
  return entries.filter((entry) => entry !== undefined);
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
    const environment = `\0${await Bun.file(`/proc/${pid}/environ`)
      .text()
      .catch(() => "")}`;
    const at = environment.indexOf(start);
    if (at !== -1) values.set(pid, environment.slice(at + start.length).split("\0", 1)[0] ?? "");
  };
  await Promise.all((await allPids()).map(read));
  return values;
}

async function allPids(): Promise<number[]> {
  return (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
}
