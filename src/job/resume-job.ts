// A job that an earlier start of the worker has left in the pool: taken over where it was, and brought to its end.
import { uptime } from "node:os";
import type { Context } from "../context.ts";
import { adoptIsotovideo } from "../isotovideo/adopt.ts";
import { endLeftOverJob } from "../isotovideo/left-over-job.ts";
import { concludeJob, deliverOrSpool } from "./conclude-job.ts";
import type { JobInProgress, JobInput } from "./job-in-progress.ts";
import { openJobLog } from "./job-log.ts";
import type { JobOutcome } from "./job-outcome.ts";
import { JobRecord } from "./job-record.ts";
import { reporterOf } from "./job-reporter.ts";
import { JobWebUi } from "./job-web-ui.ts";
import { pinLinkedAssets } from "./pin-linked-assets.ts";
import { endingOf, report } from "./run-job.ts";
import type { JobState } from "./state-file.ts";
import type { Ending } from "./stop-reason.ts";

/** `state`: past the set-up, and not in the spool. As `runJob` otherwise. */
export async function resumeJob(input: JobInput, state: JobState, outer: Context): Promise<JobOutcome> {
  const { job, settings } = input;
  const { poolDirectory } = settings;
  const jobLog = await openJobLog(poolDirectory, settings.logLevel, { isContinued: true });
  const context = { signal: outer.signal, log: outer.log.also(jobLog.sink) };
  await using held = new AsyncDisposableStack();
  const webUi = new JobWebUi(input.webUi);
  const record = new JobRecord(poolDirectory, state, context.log);
  const progress: JobInProgress = { input, webUi, jobLog, held, record, isAdopted: true };
  try {
    context.log.info(`Going on with job ${job.id} of ${webUi.host.name}, which an earlier worker has begun`);
    if (state.phase === "running") {
      await pinLinkedAssets(input, held, context);
      const ending = await endingOf(() => goOn(progress, state, context), context);
      input.entered("ending");
      return await concludeJob(progress, ending, context.log);
    }
    input.entered("ending");
    if (state.run) progress.reporter = reporterOf(record, { jobId: job.id, webUi, settings });
    const ending = state.ending ?? { stopReason: "died" };
    if (state.phase !== "ending") {
      const delivery = { signal: input.hurry, log: context.log };
      return await deliverOrSpool(progress, ending, delivery);
    }
    await takeOver(progress, { signal: input.giveUp, log: context.log });
    return await concludeJob(progress, ending, context.log);
  } finally {
    await jobLog.close();
  }
}

async function goOn(progress: JobInProgress, { run }: JobState, context: Context): Promise<Ending> {
  const { input } = progress;
  // Also when the job is to be stopped: only what was taken over can be.
  const isotovideo = await takeOver(progress, { ...context, signal: input.giveUp });
  if (isotovideo) {
    const leftMs = isotovideo.hasEndedBefore ? Number.POSITIVE_INFINITY : remainingMs(run);
    return await report(progress, isotovideo, leftMs, context);
  }
  progress.reporter = reporterOf(progress.record, {
    jobId: input.job.id,
    webUi: progress.webUi,
    settings: input.settings,
  });
  context.signal.throwIfAborted();
  return { stopReason: "died" };
}

/** Of MAX_JOB_TIME. */
function remainingMs(run: JobState["run"]): number {
  if (run?.maxJobTimeMs === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(0, run.maxJobTimeMs - 1000 * (uptime() - run.startedAtUptimeS));
}

/** Undefined: there is nothing that could be taken over. What was left of it is ended then. */
async function takeOver(progress: JobInProgress, context: Context) {
  const { poolDirectory, own } = progress.input.settings;
  const isotovideo = await adoptIsotovideo({ poolDirectory, graceMs: own.stop.graceMs }, context);
  if (isotovideo) progress.isotovideo = isotovideo;
  else await endLeftOverJob(poolDirectory, context);
  return isotovideo;
}
