// What the kernel says a process needs.
import { readFile } from "node:fs/promises";

const clockTicksPerSecond = 100;
/** Between looks at a peak. */
const lookMs = 500;

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
  const field = await statOf(pid);
  const ms = (number: number) => (Number(field(number) ?? 0) * 1000) / clockTicksPerSecond;
  return { own: ms(14) + ms(15), ofChildren: ms(16) + ms(17) };
}

/** `startTime` in clock ticks since boot: another process may have got the number meanwhile. */
export async function isAlive({ pid, startTime }: { pid: number; startTime: number }): Promise<boolean> {
  const field = await statOf(pid);
  return Number(field(22)) === startTime && field(3) !== "Z";
}

/** The fields of its `stat` from the third on, by their numbers in proc(5); all undefined when it has ended. */
async function statOf(pid: number): Promise<(number: number) => string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  // The second one, the name, may hold blanks and brackets.
  const fields = stat === "" ? [] : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (number) => fields[number - 3];
}

/** The highest reading until something has ended. */
export async function peakUntil(ended: Promise<unknown>, read: () => Promise<number>): Promise<number> {
  let isOver = false;
  const over = ended.finally(() => {
    isOver = true;
  });
  let peak = 0;
  while (!isOver) {
    peak = Math.max(peak, await read());
    await Promise.race([over, Bun.sleep(lookMs)]);
  }
  await over;
  return peak;
}
