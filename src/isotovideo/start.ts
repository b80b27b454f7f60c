// Starts isotovideo under a supervisor (protocol 4.4).
import type { Context } from "../context.ts";
import { errorText, SetupFailure } from "../errors.ts";
import { type IsotovideoRun, isotovideoRun } from "./isotovideo-run.ts";
import { killStrays } from "./job-processes.ts";
import { fifoChunks } from "./report-fifo.ts";
import { type IsotovideoStart, spawnSupervisor } from "./spawn-supervisor.ts";
import { readReports, type SupervisorReport } from "./supervisor-reports.ts";

/**
 * Resolves when isotovideo runs. Throws `SetupFailure` when it cannot be started, the signal's reason when that is
 * aborted before; afterwards the signal does not matter.
 */
export async function startIsotovideo(start: IsotovideoStart, context: Context): Promise<IsotovideoRun> {
  const { signal } = context;
  signal.throwIfAborted();
  const spawned = await spawnSupervisor(start).catch((error) => {
    throw notStarted(errorText(error), error);
  });
  const { child } = spawned;
  const reports = readReports(fifoChunks(spawned.reports));
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill);
  if (signal.aborted) kill();
  const first = await nextReport(reports);
  signal.removeEventListener("abort", kill);
  if ("started" in first && !signal.aborted) {
    const signalSupervisor = (name: NodeJS.Signals) => child.kill(name);
    const { poolDirectory, graceMs } = start;
    const supervised = { supervisor: first.started, poolDirectory, graceMs, reports, signalSupervisor };
    return isotovideoRun({ ...supervised, exited: child.exited }, context);
  }

  kill();
  await reports.return();
  await child.exited;
  await killStrays(start.poolDirectory);
  signal.throwIfAborted();
  throw notStarted("failed" in first ? first.failed : "its supervisor has ended");
}

function notStarted(why: string, cause?: unknown): SetupFailure {
  return new SetupFailure("setup failure", `isotovideo can not be started: ${why}`, { cause });
}

async function nextReport(reports: AsyncGenerator<SupervisorReport, void>): Promise<SupervisorReport> {
  try {
    const { value } = await reports.next();
    return value ?? { failed: "its supervisor has ended" };
  } catch (error) {
    return { failed: errorText(error) };
  }
}
