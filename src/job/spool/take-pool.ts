// Moves what the end of a job needs from a pool into an entry of the spool: in an order in which a crash or a power cut
// at any point loses nothing, and a repetition goes on with what was begun.
import { dirname, join } from "node:path";
import type { Context } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { stateFolder } from "../../isotovideo/pool-state.ts";
import { type JobState, readJobState } from "../state-file.ts";
import { fillEntry } from "./fill-entry.ts";
import { isThere, namesIn } from "./folder-content.ts";
import type { SpoolDisk } from "./spool-disk.ts";
import { isSpooled, sharedFiles } from "./spooled-names.ts";

/** A pool in which nothing of the job runs any more. */
export interface EndedPool {
  readonly poolDirectory: string;
  readonly state: JobState;
  /** Whether the secrets are out of vars.json: else it stays behind. */
  readonly isVarsRedacted: boolean;
}

interface Taking {
  readonly disk: SpoolDisk;
  readonly poolDirectory: string;
  /** The entry's folder, STATE/spool/INSTANCE/waiting/NAME. */
  readonly entry: string;
}

/**
 * Resolves with the state in the entry. The pool's state says first that the job is being spooled, and goes last; by
 * then all of the entry is on disk. Throws what the file system says, or the signal's reason.
 */
export async function takePool(
  disk: SpoolDisk,
  { poolDirectory, state, isVarsRedacted }: EndedPool,
  entry: string,
  context: Context,
): Promise<JobState> {
  const taking: Taking = { disk, poolDirectory, entry };
  const names = (await namesIn(poolDirectory)).filter((name) => isSpooled(name, isVarsRedacted));
  const committed = (await readJobState(entry)) ?? (await fillAndCommit(taking, state, names, context));
  await clearPool(taking, names, context);
  return committed;
}

async function fillAndCommit(
  taking: Taking,
  state: JobState,
  names: readonly string[],
  context: Context,
): Promise<JobState> {
  const { disk, poolDirectory, entry } = taking;
  const committed: JobState = { ...state, phase: "delivering" };
  // Both before the first file goes: what is left could be taken for all of the job, and a disk that is full by then
  // would keep what has gone from being delivered.
  await disk.draftJobState(entry, committed);
  await disk.writeJobState(poolDirectory, { ...state, phase: "spooling" });
  await flushState(disk, poolDirectory);
  await fillEntry(taking, names, context);
  await disk.commitJobState(entry);
  await flushState(disk, entry);
  // The entry's name, and those of the folders up to STATE, which may be new as well.
  let folder = entry;
  for (const _ of ["entry", "waiting", "instance", "spool", "state"]) {
    await disk.flushFolder(folder);
    folder = dirname(folder);
  }
  return committed;
}

/** On disk afterwards, but for the name of its folder. */
async function flushState(disk: SpoolDisk, directory: string): Promise<void> {
  await disk.flushFile(directory, `${stateFolder}/job.json`);
  await disk.flushFolder(join(directory, stateFolder));
}

/** What was copied may stay without harm: the pool is emptied before the next job. */
async function clearPool(
  { disk, poolDirectory, entry }: Taking,
  names: readonly string[],
  { log }: Context,
): Promise<void> {
  for (const name of names) {
    if (sharedFiles.includes(name) || !(await isThere(join(entry, name)))) continue;
    await disk
      .removeEntries(poolDirectory, [name])
      .catch((error) => log.warn(`Cannot remove ${name} from ${poolDirectory}: ${errorText(error)}`));
  }
  await disk.removeJobState(poolDirectory);
  if (await isThere(poolDirectory)) await disk.flushFolder(poolDirectory);
}
