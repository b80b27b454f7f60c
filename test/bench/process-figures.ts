// What the kernel says a process needs.
import { readFile } from "node:fs/promises";

const clockTicksPerSecond = 100;

/** Its share of memory (PSS); 0 when it has ended. */
export async function pssMb(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "latin1").catch(() => "");
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) / 1024;
}

export async function sumPssMb(pids: readonly number[]): Promise<number> {
  const sizes = await Promise.all(pids.map(pssMb));
  return sizes.reduce((sum, one) => sum + one, 0);
}

/** User and system time; 0 when it has ended. `ofChildren`: of those that it has waited for, and of theirs. */
export async function cpuMs(pid: number): Promise<{ readonly own: number; readonly ofChildren: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  // Fields from the third on: the second one, the name, may hold blanks and brackets (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ms = (field: number) => (Number(fields[field - 3] ?? 0) * 1000) / clockTicksPerSecond;
  return { own: ms(14) + ms(15), ofChildren: ms(16) + ms(17) };
}
