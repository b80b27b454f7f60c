// Removes from a slot's spool what nobody needs any more. Nothing that waits for delivery is touched.
import { join } from "node:path";
import type { Context } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { stateFolder } from "../../isotovideo/pool-state.ts";
import type { Logger } from "../../ops/log.ts";
import { readJobState } from "../state-file.ts";
import { lstatIfThere, namesIn } from "./folder-content.ts";
import { refusedEntries } from "./refused-entries.ts";
import { beyondLimits, type RefusedLimits } from "./refused-limits.ts";
import type { SpoolDisk } from "./spool-disk.ts";
import type { SpoolFolders } from "./spool-folders.ts";

/** Since anything was moved into it. Whoever still tries to finish an entry does so more often. */
const maxUnfinishedAgeMs = 30 * 24 * 3600 * 1000;

/** Never throws. */
export async function tidySpool(
  disk: SpoolDisk,
  { waiting, refused, removed }: SpoolFolders,
  limits: RefusedLimits,
  now: number,
  { log }: Context,
): Promise<void> {
  const remove = async (folder: string, names: readonly string[]) => {
    for (const name of names)
      await disk
        .removeEntries(folder, [name])
        .catch((error) => log.warn(`Cannot remove ${join(folder, name)}: ${errorText(error)}`));
  };
  await remove(removed, await orNone(namesIn(removed), log));
  const beyond = beyondLimits(await orNone(refusedEntries(refused), log), limits, now);
  for (const name of beyond) log.info(`Not keeping ${join(refused, name)} any longer: too old or too big`);
  await remove(refused, beyond);
  const abandoned = await orNone(abandonedEntries(waiting, now), log);
  for (const name of abandoned) log.warn(`Removing ${join(waiting, name)}: it was never finished`);
  await remove(waiting, abandoned);
}

async function abandonedEntries(waiting: string, now: number): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn(waiting)) {
    const entry = join(waiting, name);
    const looks = [entry, join(entry, stateFolder)].map((path) => lstatIfThere(path).catch(() => undefined));
    const changedAt = Math.max(...(await Promise.all(looks)).map((stats) => stats?.mtimeMs ?? 0));
    if (now - changedAt > maxUnfinishedAgeMs && !(await readJobState(entry))) found.push(name);
  }
  return found;
}

async function orNone<T>(looking: Promise<T[]>, log: Logger): Promise<T[]> {
  return await looking.catch((error) => {
    log.warn(`Cannot look for what the spool does not need any more: ${errorText(error)}`);
    return [];
  });
}
