// Empties the pool directory of a slot before and after each job (protocol 3.1). Only a directory whose lock this process
// holds is ever emptied.
import { readdir } from "node:fs/promises";
import { basename, isAbsolute, join, normalize } from "node:path";
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import { removeEntries } from "../ops/remove-entries.ts";
import { runningQemu } from "./availability/left-over-qemu.ts";
import { packageListFile } from "./package-list.ts";
import type { PoolLock } from "./pool-lock.ts";

/**
 * Removes everything but dot files and the list of packages; `qemu.pid` stays while that qemu runs. Links are removed,
 * not followed. What cannot be removed is logged. Throws for a path that cannot be a pool directory of slot N, and when
 * the lock is lost.
 */
export async function emptyPoolDirectory(lock: PoolLock, instance: number, log: Logger): Promise<void> {
  const { poolDirectory } = lock;
  const isPool =
    isAbsolute(poolDirectory) &&
    normalize(poolDirectory) === poolDirectory &&
    basename(poolDirectory) === String(instance) &&
    basename(join(poolDirectory, "..")) === "pool";
  if (!isPool) throw new Error(`Refusing to empty ${JSON.stringify(poolDirectory)}: not a pool directory`);
  const problem = await lock.findProblem();
  if (problem !== undefined) throw new Error(problem);
  const kept = new Set([packageListFile]);
  if ((await runningQemu(poolDirectory)) !== undefined) kept.add("qemu.pid");
  const names = (await readdir(poolDirectory)).filter((name) => !name.startsWith(".") && !kept.has(name));
  for (const name of names)
    await removeEntries(poolDirectory, [name]).catch((error) =>
      log.error(`Unable to remove ${name} from ${poolDirectory}: ${errorText(error)}`),
    );
}
