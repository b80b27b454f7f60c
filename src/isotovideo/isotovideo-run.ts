// A running isotovideo as the worker sees it, whether this worker has started it or an earlier one: how it ends and how
// it is stopped. When the end is told, nothing of the job is alive any more, also when somebody has killed the supervisor.
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import { nameOf } from "../process/process-entry.ts";
import { killStrays, killSupervised } from "./job-processes.ts";
import { type Exit, readExit, type Supervisor, type SupervisorReport } from "./supervisor-reports.ts";

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

export interface SupervisedRun {
  readonly supervisor: Supervisor;
  readonly poolDirectory: string;
  /** From TERM to isotovideo to TERM to all that is left. */
  readonly graceMs: number;
  /** They end when the supervisor does. */
  readonly reports: AsyncIterable<SupervisorReport>;
  readonly signalSupervisor: (signal: NodeJS.Signals) => void;
  /** For its parent: when it has been taken away. */
  readonly exited?: Promise<unknown>;
}

export function isotovideoRun(supervised: SupervisedRun, context: Context): IsotovideoRun {
  const { supervisor, graceMs, signalSupervisor } = supervised;
  let deadline: NodeJS.Timeout | undefined;
  let phase: "running" | "stopping" | "ended" = "running";
  const ended = awaitEnd(supervised, context).finally(() => {
    phase = "ended";
    clearTimeout(deadline);
  });
  const end = (signal: NodeJS.Signals, withinMs: number) => {
    if (phase === "ended") return ended;
    phase = "stopping";
    signalSupervisor(signal);
    clearTimeout(deadline);
    deadline = setTimeout(() => {
      context.log.error(
        `The supervisor of isotovideo (process ${supervisor.pid}) does not react: killing it`,
      );
      void killSupervised(supervisor);
    }, withinMs);
    return ended;
  };
  return {
    supervisorPid: supervisor.pid,
    isotovideoPid: supervisor.isotovideo.pid,
    ended,
    stop: () => (phase === "running" ? end("SIGTERM", graceMs + supervisorSlackMs) : ended),
    kill: () => end("SIGINT", supervisorSlackMs),
  };
}

async function awaitEnd(supervised: SupervisedRun, { log }: Context): Promise<IsotovideoEnd> {
  const { supervisor, poolDirectory, reports, exited } = supervised;
  const complain = (error: unknown) =>
    log.error(`The supervisor of isotovideo (process ${supervisor.pid}): ${errorText(error)}`);
  const reported = await lastReport(reports).catch(async (error) => {
    complain(error);
    await killSupervised(supervisor);
  });
  await exited;
  // It writes the file first: the line is lost when nobody was there to read it.
  const exit = reported ?? (await readExit(poolDirectory).catch(complain));
  if (exit) {
    logNames(exit.swept, exit.left, log);
    return endOf(exit);
  }
  log.error(
    `The supervisor of isotovideo (process ${supervisor.pid}) has died: ending all processes of the job`,
  );
  const { ended, left } = await killStrays(poolDirectory);
  logNames(ended.map(nameOf), left.map(nameOf), log);
  return { kind: "lost" };
}

/** Not before the supervisor is gone. */
async function lastReport(reports: AsyncIterable<SupervisorReport>): Promise<Exit | undefined> {
  let last: Exit | undefined;
  for await (const report of reports) if ("ended" in report) last = report.ended;
  return last;
}

function endOf({ code, signal }: Exit): IsotovideoEnd {
  if (signal !== undefined) return { kind: "signalled", signal };
  return code === undefined ? { kind: "lost" } : { kind: "exited", code };
}

function logNames(ended: readonly string[], left: readonly string[], log: Logger): void {
  if (ended.length > 0) log.info(`Ended what isotovideo has left running: ${ended.join(", ")}`);
  if (left.length > 0) log.error(`Not even KILL ends these processes of the job: ${left.join(", ")}`);
}
