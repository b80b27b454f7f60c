// Ends the job that an earlier worker has left running in a pool directory.
import { watch } from "node:fs";
import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Context } from "../context.ts";
import { isRunning, nameOf } from "../process/process-entry.ts";
import { signalProcess } from "../process/sweep.ts";
import { findStrays, killStrays, killSupervised } from "./job-processes.ts";
import { exitFile, stateFolder } from "./pool-state.ts";
import { readSupervisor, type Supervisor } from "./supervisor-reports.ts";

/** For its supervisor to bring it to an end. */
const defaultWaitMs = 60_000;

/**
 * TERM to the job's supervisor, a bounded wait, then KILL to all that is found of the job. Returns "NAME (PID)" of all
 * that had to be ended, none if there was no such job. Throws the signal's reason when that is aborted meanwhile.
 */
export async function endLeftOverJob(
  poolDirectory: string,
  { signal, log }: Context,
  { waitMs = defaultWaitMs } = {},
): Promise<string[]> {
  const found = await findStrays(poolDirectory);
  if (found.length === 0) return [];
  const names = found.map(nameOf);
  log.warn(`Ending what an earlier worker's job has left running: ${names.join(", ")}`);
  const supervisor = await readSupervisor(poolDirectory).catch(() => undefined);
  const isMarked = found.some(
    ({ pid, startTicks }) => pid === supervisor?.pid && startTicks === supervisor.startTicks,
  );
  if (supervisor && isMarked) {
    await endThroughSupervisor(supervisor, join(poolDirectory, stateFolder, exitFile), waitMs, signal);
    await killSupervised(supervisor);
  }
  const { left } = await killStrays(poolDirectory);
  if (left.length > 0) log.error(`Not even KILL ends these processes: ${left.map(nameOf).join(", ")}`);
  return names;
}

/** Resolves when it has told the end or time is up. It is no child of this process: the file is its event. */
async function endThroughSupervisor(
  supervisor: Supervisor,
  file: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  const look = () => void access(file).then(end, () => {});
  const watcher = watch(dirname(file), look);
  const timer = setTimeout(end, waitMs);
  signal.addEventListener("abort", end);
  try {
    signal.throwIfAborted();
    look();
    await signalProcess(supervisor, "SIGTERM");
    if (await isRunning(supervisor)) await promise;
    signal.throwIfAborted();
  } finally {
    watcher.close();
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}
