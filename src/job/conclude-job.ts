// The end of a job, whatever ended it (protocol 8.1): nothing of it runs any more, the web UI is told, or the spool keeps
// what has to be told. Runs under deadlines of its own, not under the job's signal.
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { announceStop } from "../isotovideo/command-server.ts";
import type { IsotovideoEnd } from "../isotovideo/isotovideo-run.ts";
import type { Logger } from "../ops/log.ts";
import { postUploading } from "../webui/jobs-api.ts";
import { type DeliveredEnd, deliverEnd } from "./deliver-end.ts";
import type { JobInProgress } from "./job-in-progress.ts";
import { endNotes } from "./job-log.ts";
import { type JobOutcome, outcome } from "./job-outcome.ts";
import { spoolEnd } from "./spool-end.ts";
import type { Ending } from "./stop-reason.ts";

/** Never throws. */
export async function concludeJob(progress: JobInProgress, ending: Ending, log: Logger): Promise<JobOutcome> {
  const { input, jobLog, isotovideo, record } = progress;
  const delivery: Context = { signal: input.hurry, log };
  log.info(`Stopping job ${input.job.id}: ${ending.stopReason}`);
  await record.ending(ending);
  const told = new AbortController();
  const announced = tellUploading(progress, { log, signal: AbortSignal.any([input.hurry, told.signal]) });
  const isotovideoEnd = isotovideo && (await stopIsotovideo(progress, ending, delivery));
  progress.pictures?.isotovideoEnded();
  const exit = isotovideoEnd && ending.stopReason !== "timeout" ? exitText(isotovideoEnd) : undefined;
  jobLog.note(...endNotes(ending.stopReason, exit, new Date()));
  await record.save("delivering");
  const end = await deliverOrSpool(progress, ending, delivery);
  await progress.pictures?.end();
  told.abort();
  await announced;
  return end;
}

/**
 * Of a job of which nothing runs any more. Afterwards its state file is gone from the pool, unless the worker's time to
 * stop was over before. Never throws.
 */
export async function deliverOrSpool(
  progress: JobInProgress,
  ending: Ending,
  context: Context,
): Promise<JobOutcome> {
  const { input, webUi, record } = progress;
  webUi.becomeImpatient(input.settings.own.spool.triesBefore);
  const delivered = await deliver(progress, ending, context);
  if (delivered !== "undelivered" && delivered.delivery !== "refused") {
    await record.remove();
    return delivered;
  }
  try {
    const why = delivered === "undelivered" ? undefined : (delivered.why ?? delivered.delivery);
    await spoolEnd(input, record, why, { signal: input.giveUp, log: context.log });
    return delivered === "undelivered" ? outcome("spooled") : delivered;
  } catch (error) {
    context.log.error(`Job ${input.job.id} cannot wait in the spool: ${errorText(error)}`);
    if (delivered !== "undelivered") {
      await record.remove();
      return delivered;
    }
  }
  // Without a spool the web UI is waited for as the stock worker does.
  webUi.becomeImpatient(Number.POSITIVE_INFINITY);
  const again = await deliver(progress, ending, { ...context, signal: input.giveUp });
  if (again === "undelivered" && input.giveUp.aborted) {
    context.log.warn(`The end of job ${input.job.id} stays in the pool: the next start goes on with it`);
    return outcome("lost");
  }
  await record.remove();
  if (again !== "undelivered") return again;
  context.log.error(`Job ${input.job.id} could not be finished on the web UI`);
  return outcome("lost");
}

function deliver(
  { input, webUi, jobLog, record, reporter }: JobInProgress,
  ending: Ending,
  context: Context,
): Promise<DeliveredEnd> {
  const { job, settings } = input;
  const isEnded = () => input.entered("ended");
  return deliverEnd({ jobId: job.id, webUi, settings, record, jobLog, reporter, isEnded }, ending, context);
}

/** Does not matter to anything that follows, so nothing waits for it; it is given up when all else is through. */
async function tellUploading({ input, webUi }: JobInProgress, context: Context): Promise<void> {
  try {
    await postUploading(webUi, input.job.id, context);
  } catch (error) {
    if (context.signal.aborted) return;
    context.log.warn(`Unable to tell the web UI that job ${input.job.id} uploads: ${errorText(error)}`);
  }
}

/** Stop reasons of a job whose isotovideo has ended: it has told developer sessions so. */
const endedByItself: ReadonlySet<string> = new Set(["done", "died"]);

/** Afterwards no process of the job is alive. */
async function stopIsotovideo(
  { isotovideo, record, input }: JobInProgress,
  { stopReason }: Ending,
  context: Context,
): Promise<IsotovideoEnd | undefined> {
  if (!isotovideo) return undefined;
  const signal = AbortSignal.any([context.signal, input.kill]);
  const kill = () => void isotovideo.kill();
  signal.addEventListener("abort", kill, { once: true });
  try {
    if (signal.aborted) return await isotovideo.kill();
    const { commandServerUrl } = record.state.run ?? {};
    if (commandServerUrl !== undefined && !endedByItself.has(stopReason))
      await announceStop(commandServerUrl, stopReason, { ...context, signal });
    return await isotovideo.stop();
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

function exitText(end: IsotovideoEnd): string {
  if (end.kind === "exited") return String(end.code);
  return end.kind === "signalled" ? `ended by ${end.signal}` : "unknown";
}
