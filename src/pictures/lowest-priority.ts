// Makes this process give way: to the systems under test, which are on the same CPUs, and to everything else when memory
// is short.
import { readdir, writeFile } from "node:fs/promises";
import { constants, setPriority } from "node:os";

const lowest = constants.priority.PRIORITY_LOW;
/** Of 1000; the kernel then ends this one before a QEMU. */
const oomScoreAdjustment = 500;

/** For all threads that there are, and those that they start. To be called before much is going on. */
export async function takeLowestPriority(): Promise<void> {
  // Where sessions compete as groups, nice values only count within one: this process has one of its own.
  await tryToWrite("/proc/self/autogroup", `${lowest}`);
  await tryToWrite("/proc/self/oom_score_adj", `${oomScoreAdjustment}`);
  const done = new Set<string>();
  // Linux has a nice value per thread. One that was being started meanwhile is found in the next round.
  for (let isNew = true; isNew; ) {
    const threads = (await readdir("/proc/self/task")).filter((thread) => !done.has(thread));
    for (const thread of threads) {
      lowerThread(Number(thread));
      done.add(thread);
    }
    isNew = threads.length > 0;
  }
}

function lowerThread(thread: number): void {
  try {
    setPriority(thread, lowest);
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}

/** Not all kernels have all of these files, and containers may forbid them: the work is done all the same. */
async function tryToWrite(path: string, text: string): Promise<void> {
  await writeFile(path, text).catch(() => {});
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
