// Tells the web UI the end of a job of which nothing runs any more, from what a directory holds, the pool or an entry of
// the spool (protocol 8.1, steps 3 to 6). Repeated after any interruption: what the server has got is not sent again.
import type { Context } from "../context.ts";
import { ApiError, errorText } from "../errors.ts";
import { uploadJobFiles } from "../results/job-files.ts";
import type { Reporter } from "../results/reporter.ts";
import { duplicateJob, getJob } from "../webui/jobs-api.ts";
import type { JobLog } from "./job-log.ts";
import { type JobOutcome, outcome } from "./job-outcome.ts";
import { redactVarsFile } from "./redact.ts";
import { type ConcludedJob, endSent, sendEnd, throwIfScheduled } from "./send-end.ts";
import { conclusions, type Ending } from "./stop-reason.ts";

export interface EndedJob extends ConcludedJob {
  readonly jobLog: Pick<JobLog, "announceUpload" | "lineCount">;
  /** There if isotovideo was started. */
  readonly reporter: Reporter | undefined;
}

/** "undelivered": the web UI is away, or there was no time; what is left can be delivered later. */
export type DeliveredEnd = JobOutcome | "undelivered";

/** Never throws. */
export async function deliverEnd(ended: EndedJob, ending: Ending, context: Context): Promise<DeliveredEnd> {
  const { jobId, record } = ended;
  try {
    if (record.isDelivered(endSent)) {
      const { state, result } = await getJob(ended.webUi, jobId, context);
      if (state === "done") return told(ending, result);
    }
    const final = await deliverResults(ended, ending, context).catch((error) => afterFault(error, context));
    return told(ending, await sendEnd(ended, final, context));
  } catch (error) {
    const isOurs = !(error instanceof ApiError) && !context.signal.aborted;
    if (isOurs) logFault(error, context);
    // 403 is about the worker's key, which can be put right.
    const isRefused = error instanceof ApiError && error.isFinal && error.status !== 403;
    if (isRefused) context.log.error(`The web UI does not want the end of job ${jobId}: ${error.message}`);
    if (isOurs || isRefused) return { ...outcome(isRefused ? "refused" : "lost"), why: errorText(error) };
    context.log.warn(`The web UI has not got the end of job ${jobId} yet: ${errorText(error)}`);
    return "undelivered";
  }
}

/** Whatever broke here keeps the web UI from nothing else (field lesson 1). */
function afterFault(error: unknown, context: Context): Ending {
  if (error instanceof ApiError || context.signal.aborted) throw error;
  logFault(error, context);
  return { stopReason: "exception" };
}

function logFault(error: unknown, { log }: Context): void {
  log.error(`Internal error: ${error instanceof Error ? error.stack : errorText(error)}`);
}

/** In the record of what was delivered. */
const duplicated = "duplicate";

function told({ stopReason }: Ending, result: string | undefined): JobOutcome {
  return outcome("told", stopReason === "done" && (result === "passed" || result === "softfailed"));
}

/**
 * A failed upload changes what the job ends as. Throws `ApiError` while the web UI is away, or when it has ended the job
 * without this worker.
 */
async function deliverResults(ended: EndedJob, ending: Ending, context: Context): Promise<Ending> {
  const conclusion = conclusions[ending.stopReason];
  if (conclusion.duplicates) await duplicate(ended, context);
  const [failedFiles, failedResults] = await Promise.all([
    conclusion.uploadsLogs ? uploadFiles(ended, conclusion.uploadsAssets, context) : [],
    conclusion.postsLastStatus ? ended.reporter?.finish(context) : undefined,
  ]);
  const errors = [...failedFiles, ...(failedResults ? [failedResults] : [])].map(({ error }) => error);
  const isAway = errors.find((error) => error instanceof ApiError && error.isAway);
  if (isAway) throw isAway;
  const isRefused = errors.some((error) => error instanceof ApiError && error.isFinal);
  if (isRefused || ending.stopReason === "api-failure") await throwIfGivenUp(ended, context);
  if (failedFiles.length > 0) return { stopReason: "api-failure" };
  return failedResults ? { ...ending, uploadError: failedResults.text } : ending;
}

async function throwIfGivenUp({ jobId, webUi }: EndedJob, context: Context): Promise<void> {
  const { state, result, reason } = await getJob(webUi, jobId, context);
  // The server takes `set_done` of a job that it has ended itself, but changes nothing.
  if (state === "done")
    throw new ApiError(`it is done there already: ${result}${reason ? ` (${reason})` : ""}`, 400);
  throwIfScheduled(state);
}

function uploadFiles(
  { jobId, webUi, settings, record, jobLog }: EndedJob,
  withAssets: boolean,
  context: Context,
) {
  return uploadJobFiles(
    {
      webUi,
      jobId,
      poolDirectory: record.directory,
      settings,
      withAssets,
      redactVars: (inner) => redactVarsFile(record.directory, inner),
      announce: (name) => jobLog.announceUpload(name),
      lineCount: () => jobLog.lineCount(),
      isDelivered: (key) => record.isDelivered(key),
      noteDelivered: (key) => void record.delivered(key),
    },
    context,
  );
}

/** A server that cannot does not keep the job from its end. */
async function duplicate({ jobId, webUi, record }: EndedJob, context: Context): Promise<void> {
  if (record.isDelivered(duplicated)) return;
  try {
    await duplicateJob(webUi, jobId, context);
    await record.delivered(duplicated);
  } catch (error) {
    if (!(error instanceof ApiError) || error.isAway) throw error;
    context.log.error(`Unable to duplicate job ${jobId}: ${error.message}`);
  }
}
