// A job from accepted to done. This is the table of contents: each step is a call into the module that does it.
import { uptime } from "node:os";
import { abortable, outliving } from "../abortable.ts";
import type { Context } from "../context.ts";
import { ApiError, errorText, SetupFailure } from "../errors.ts";
import type { IsotovideoEnd, IsotovideoRun } from "../isotovideo/isotovideo-run.ts";
import { startIsotovideo } from "../isotovideo/start.ts";
import type { Audience } from "../results/audience.ts";
import type { ReportEnd, Reporter } from "../results/reporter.ts";
import { beginPictures } from "./begin-pictures.ts";
import { concludeJob } from "./conclude-job.ts";
import { setupTimeLimitMs, withDeadline } from "./deadlines.ts";
import { isotovideoCall } from "./isotovideo-call.ts";
import type { JobInProgress, JobInput } from "./job-in-progress.ts";
import { openJobLog, setupNotes } from "./job-log.ts";
import type { JobOutcome } from "./job-outcome.ts";
import { JobRecord, newJobState } from "./job-record.ts";
import { reporterOf } from "./job-reporter.ts";
import { JobStop } from "./job-stop.ts";
import { JobWebUi } from "./job-web-ui.ts";
import { setUpJob } from "./set-up/set-up-job.ts";
import type { Ending } from "./stop-reason.ts";

/** For a set-up that is stopped to tidy up. One that hangs in a file system is left behind then. */
const maxPartingMs = 10_000;

/**
 * Runs an accepted job to its end. The context's signal is aborted with a `JobStop` to stop it. Never throws for anything
 * that the job or the web UI did; the pool is left for the caller to clean.
 */
export async function runJob(input: JobInput, outer: Context): Promise<JobOutcome> {
  const { job, settings, program } = input;
  const jobLog = await openJobLog(settings.poolDirectory, settings.logLevel);
  const context = { signal: outer.signal, log: outer.log.also(jobLog.sink) };
  await using held = new AsyncDisposableStack();
  const webUi = new JobWebUi(input.webUi);
  const record = new JobRecord(settings.poolDirectory, newJobState(job, webUi), context.log);
  const progress: JobInProgress = { input, webUi, jobLog, held, record };
  try {
    context.log.info(`Setting up job ${job.id} from ${webUi.host.name}`);
    jobLog.note(...setupNotes(program.nodeName, settings.instance));
    const ending = await endingOf(() => workOn(progress, context), context);
    input.entered("ending");
    return await concludeJob(progress, ending, context.log);
  } finally {
    await jobLog.close();
  }
}

async function workOn(progress: JobInProgress, context: Context): Promise<Ending> {
  const { input, record, jobLog, held } = progress;
  const { settings } = input;
  await record.save("setup");
  const prepared = await withDeadline(setupTimeLimitMs(input.job, settings), context, async (inner) => {
    const ready = await outliving(inner.signal, maxPartingMs, (late) =>
      abortable(setUpJob({ ...input, held, autoinstSink: jobLog.autoinstSink }, inner), late),
    );
    jobLog.note("+++ worker notes +++");
    await jobLog.flush();
    progress.isotovideo = await startIsotovideo(await isotovideoCall(input, ready), inner);
    return ready;
  });
  const isotovideo = progress.isotovideo;
  if (!isotovideo) throw new Error("isotovideo has been started, but nobody holds it");
  const { maxJobTimeMs, commandServerUrl } = prepared;
  await record.started({
    startedAtUptimeS: uptime(),
    ...(Number.isFinite(maxJobTimeMs) && { maxJobTimeMs }),
    commandServerUrl,
    workerHostname: input.workerHostname,
  });
  return await report(progress, isotovideo, maxJobTimeMs, context);
}

/** From here on a job of this start and one that an earlier start of the worker has left are the same. */
export async function report(
  progress: JobInProgress,
  isotovideo: IsotovideoRun,
  limitMs: number,
  context: Context,
): Promise<Ending> {
  const { input, record, webUi } = progress;
  const { job, audience, settings } = input;
  input.entered("running");
  input.hasStarted({ ...job.received, URL: record.state.run?.commandServerUrl });
  keepDeveloper(audience, record);
  const pictures = beginPictures(input, { isNewJob: !progress.isAdopted }, context.log);
  if (pictures) {
    progress.pictures = pictures;
    progress.held.defer(() => pictures.end());
  }
  const reporter = reporterOf(record, {
    ...{ jobId: job.id, webUi, settings, audience },
    ...(pictures && { pictures }),
  });
  progress.reporter = reporter;
  return await withDeadline(limitMs, context, (inner) => watch(isotovideo, reporter, inner));
}

/** Over starts of the worker: the server tells it once. */
function keepDeveloper(audience: Audience, record: JobRecord): void {
  if (record.state.hasDeveloper) audience.developerCame();
  const note = () => {
    if (audience.hasDeveloper && !record.state.hasDeveloper) void record.developerCame();
  };
  note();
  audience.onChange(note);
}

/** Until isotovideo ends, the server gives the job up or the signal is aborted. A post under way is let finish. */
async function watch(isotovideo: IsotovideoRun, reporter: Reporter, context: Context): Promise<Ending> {
  const reporting = new AbortController();
  const signal = AbortSignal.any([context.signal, reporting.signal]);
  const reports = reporter.run({ signal, log: context.log });
  const ended = [isotovideo.ended.then(endOfIsotovideo), reports.then((end) => endOfReports(end, signal))];
  try {
    return await abortable(Promise.race(ended), context.signal);
  } finally {
    reporting.abort();
  }
}

function endOfIsotovideo(end: IsotovideoEnd): Ending {
  return { stopReason: end.kind === "exited" && end.code === 0 ? "done" : "died" };
}

/** The reports end by themselves only when the job has to. */
function endOfReports(end: ReportEnd, signal: AbortSignal): Ending {
  if (end.why === "refused") throw end.error;
  if (end.why === "aborted") throw signal.reason;
  return { stopReason: end.why };
}

/** Turns whatever ended the work into why the job ends. */
export async function endingOf(work: () => Promise<Ending>, context: Context): Promise<Ending> {
  try {
    return await work();
  } catch (error) {
    // Whatever else broke while the job was being stopped: it ends for the reason that it was stopped for.
    const cause = context.signal.aborted ? context.signal.reason : error;
    if (cause instanceof JobStop) return { stopReason: cause.stopReason };
    if (cause instanceof SetupFailure) {
      context.log.error(`Unable to setup job: ${cause.message}`);
      const { category, message } = cause;
      return { stopReason: "setup failure", failure: { category, message } };
    }
    if (cause instanceof ApiError) {
      context.log.error(`The web UI has given the job up: ${cause.message}`);
      return { stopReason: "api-failure", apiError: cause.message };
    }
    context.log.error(`Internal error: ${cause instanceof Error ? cause.stack : errorText(cause)}`);
    return { stopReason: "exception" };
  }
}
