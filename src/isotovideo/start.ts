// Starts isotovideo under a supervisor and tells how it ended (protocol 4.4). When the end is told, nothing of the job
// is alive any more, also when somebody has killed the supervisor.
import type { Context } from "../context.ts";
import { errorText, SetupFailure } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import { nameOf } from "../process/process-entry.ts";
import { killStrays, killSupervised } from "./job-processes.ts";
import { type IsotovideoStart, type SupervisorProcess, spawnSupervisor } from "./spawn-supervisor.ts";
import { type Exit, readReports, type Supervisor, type SupervisorReport } from "./supervisor-reports.ts";

/** What a supervisor may take longer than the grace period: TERM and KILL for what is left. */
const supervisorSlackMs = 15_000;

export type IsotovideoEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: string }
  /** The supervisor was killed: how isotovideo would have ended is not known. */
  | { readonly kind: "lost" };

export interface IsotovideoRun {
  readonly supervisorPid: number;
  readonly isotovideoPid: number;
  /** Never rejects. Nothing of the job is alive then. */
  readonly ended: Promise<IsotovideoEnd>;
  /** TERM to isotovideo alone; after its grace period TERM, then KILL to all that is left. Repeated: no change. */
  stop(): Promise<IsotovideoEnd>;
  /** KILL to all at once. */
  kill(): Promise<IsotovideoEnd>;
}

/**
 * Resolves when isotovideo runs. Throws `SetupFailure` when it cannot be started, the signal's reason when that is
 * aborted before; afterwards the signal does not matter.
 */
export async function startIsotovideo(start: IsotovideoStart, context: Context): Promise<IsotovideoRun> {
  const { signal } = context;
  signal.throwIfAborted();
  const child = await spawnSupervisor(start).catch((error) => {
    throw notStarted(errorText(error), error);
  });
  const reports = readReports(child.stdout);
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill);
  if (signal.aborted) kill();
  const first = await nextReport(reports);
  signal.removeEventListener("abort", kill);
  if ("started" in first && !signal.aborted) return runOf(start, child, first.started, reports, context);

  kill();
  await child.exited;
  await killStrays(start.poolDirectory);
  signal.throwIfAborted();
  throw notStarted("failed" in first ? first.failed : "its supervisor has ended");
}

function notStarted(why: string, cause?: unknown): SetupFailure {
  return new SetupFailure("setup failure", `isotovideo can not be started: ${why}`, { cause });
}

async function nextReport(reports: AsyncGenerator<SupervisorReport>): Promise<SupervisorReport> {
  try {
    const { value } = await reports.next();
    return value ?? { failed: "its supervisor has ended" };
  } catch (error) {
    return { failed: errorText(error) };
  }
}

function runOf(
  start: IsotovideoStart,
  child: SupervisorProcess,
  supervisor: Supervisor,
  reports: AsyncGenerator<SupervisorReport>,
  context: Context,
): IsotovideoRun {
  let deadline: NodeJS.Timeout | undefined;
  let phase: "running" | "stopping" | "ended" = "running";
  const ended = awaitEnd(start, child, reports, context).finally(() => {
    phase = "ended";
    clearTimeout(deadline);
  });
  const end = (signal: NodeJS.Signals, withinMs: number) => {
    if (phase === "ended") return ended;
    phase = "stopping";
    child.kill(signal);
    clearTimeout(deadline);
    deadline = setTimeout(() => {
      context.log.error(`The supervisor of isotovideo (process ${child.pid}) does not react: killing it`);
      void killSupervised(supervisor);
    }, withinMs);
    return ended;
  };
  return {
    supervisorPid: child.pid,
    isotovideoPid: supervisor.isotovideo.pid,
    ended,
    stop: () => (phase === "running" ? end("SIGTERM", start.graceMs + supervisorSlackMs) : ended),
    kill: () => end("SIGINT", supervisorSlackMs),
  };
}

async function awaitEnd(
  { poolDirectory }: IsotovideoStart,
  child: SupervisorProcess,
  reports: AsyncGenerator<SupervisorReport>,
  { log }: Context,
): Promise<IsotovideoEnd> {
  const exit = await lastReport(reports).catch((error) => {
    log.error(`The supervisor of isotovideo (process ${child.pid}): ${errorText(error)}`);
    child.kill("SIGKILL");
  });
  await child.exited;
  if (exit) {
    logNames(exit.swept, exit.left, log);
    return endOf(exit);
  }
  log.error(`The supervisor of isotovideo (process ${child.pid}) has died: ending all processes of the job`);
  const { ended, left } = await killStrays(poolDirectory);
  logNames(ended.map(nameOf), left.map(nameOf), log);
  return { kind: "lost" };
}

async function lastReport(reports: AsyncGenerator<SupervisorReport>): Promise<Exit | undefined> {
  for await (const report of reports) if ("ended" in report) return report.ended;
  return undefined;
}

function endOf({ code, signal }: Exit): IsotovideoEnd {
  if (signal !== undefined) return { kind: "signalled", signal };
  return code === undefined ? { kind: "lost" } : { kind: "exited", code };
}

function logNames(ended: readonly string[], left: readonly string[], log: Logger): void {
  if (ended.length > 0) log.info(`Ended what isotovideo has left running: ${ended.join(", ")}`);
  if (left.length > 0) log.error(`Not even KILL ends these processes of the job: ${left.join(", ")}`);
}
