// Takes over the isotovideo that an earlier worker has left in a pool directory, running or ended meanwhile.
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { isAlive, readProcess } from "../process/process-entry.ts";
import { environmentValues } from "../process/process-list.ts";
import { signalProcess } from "../process/sweep.ts";
import { type IsotovideoRun, isotovideoRun } from "./isotovideo-run.ts";
import { poolMark } from "./pool-state.ts";
import { fifoChunks, openReportFifo } from "./report-fifo.ts";
import { readExit, readReports, readSupervisor, type Supervisor } from "./supervisor-reports.ts";

export interface LeftRun {
  readonly poolDirectory: string;
  /** From TERM to isotovideo to TERM to all that is left, as far as this worker waits for it. */
  readonly graceMs: number;
}

export interface AdoptedRun extends IsotovideoRun {
  /** It was over before: how it ended is told soon, whatever time it has had since. */
  readonly hasEndedBefore: boolean;
}

/**
 * Undefined: nothing is there that can be taken over (never started, its files lost or of an unknown format, its pid in
 * use by another process); the caller then ends what is left with `endLeftOverJob`. A run whose supervisor has died is
 * taken over as well: it is `lost`; as it was no child of this process, what has left the supervisor's children and
 * cleared its environment is not found then. Throws the signal's reason when that is aborted; afterwards it does not
 * matter.
 */
export async function adoptIsotovideo(left: LeftRun, context: Context): Promise<AdoptedRun | undefined> {
  const { signal, log } = context;
  signal.throwIfAborted();
  try {
    const supervisor = await readSupervisor(left.poolDirectory);
    if (supervisor === undefined) return undefined;
    const fifo = await fifoOf(supervisor, left.poolDirectory);
    const reports = readReports(fifo ? fifoChunks(fifo) : noChunks());
    const signalSupervisor = (name: NodeJS.Signals) => void signalProcess(supervisor, name);
    const run = isotovideoRun({ ...left, supervisor, reports, signalSupervisor }, context);
    return { ...run, hasEndedBefore: fifo === undefined };
  } catch (error) {
    log.warn(`Unable to take over what runs in ${left.poolDirectory}: ${errorText(error)}`);
    return undefined;
  }
}

/** Over which it tells what it has yet to tell; undefined when it is dead. Throws when that cannot be told or heard. */
async function fifoOf({ pid, startTicks }: Supervisor, poolDirectory: string) {
  const isMarked = await carriesMark(pid, poolDirectory);
  const entry = await readProcess(pid);
  const exit = await readExit(poolDirectory);
  const isUsed = entry !== undefined && isAlive(entry);
  // Should it end in between, opening the FIFO shows that.
  if (isUsed && isMarked && entry.startTicks === startTicks) return await openReportFifo(poolDirectory);
  if (isUsed && exit === undefined)
    throw new Error(`process ${pid} is another one than the supervisor that was started`);
  return undefined;
}

async function carriesMark(pid: number, poolDirectory: string): Promise<boolean> {
  const { name, start } = poolMark(poolDirectory);
  return (await environmentValues(name)).get(pid)?.startsWith(start) ?? false;
}

async function* noChunks(): AsyncGenerator<Uint8Array, void> {}
