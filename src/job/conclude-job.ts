// The end of a job, whatever ended it (protocol 8.1): nothing of it runs any more, everything is delivered that its
// stop reason asks for, `set_done` comes last. Runs under deadlines of its own, not under the job's signal.
import { join } from "node:path";
import type { Context } from "../context.ts";
import { ApiError, errorText } from "../errors.ts";
import { announceStop } from "../isotovideo/command-server.ts";
import type { IsotovideoEnd } from "../isotovideo/start.ts";
import type { Logger } from "../ops/log.ts";
import { type GroupFailure, uploadJobFiles } from "../results/job-files.ts";
import { readBaseState } from "../results/state-files.ts";
import { sleep } from "../sleep.ts";
import { duplicateJob, getJob, type JobEnd, postUploading, setDone } from "../webui/jobs-api.ts";
import type { JobInProgress, JobInput } from "./job-in-progress.ts";
import { autoinstLogName, endNotes } from "./job-log.ts";
import { nothingFound, searchLog } from "./log-search.ts";
import { dependsOnLog, formatReason } from "./reason.ts";
import { redactVarsFile } from "./redact.ts";
import { removeJobState } from "./state-file.ts";
import { conclusions, type Ending, resultToSend } from "./stop-reason.ts";

/** Resolves with whether the server has been told the end. Never throws. */
export async function concludeJob(progress: JobInProgress, ending: Ending, log: Logger): Promise<boolean> {
  const { input, jobLog, isotovideo, record } = progress;
  const delivery: Context = { signal: input.hurry, log };
  log.info(`Stopping job ${input.job.id}: ${ending.stopReason}`);
  await record.save("uploading");
  const announced = tellUploading(progress, delivery);
  const end = isotovideo && (await stopIsotovideo(progress, ending, delivery));
  const exit = end && ending.stopReason !== "timeout" ? exitText(end) : undefined;
  jobLog.note(...endNotes(ending.stopReason, exit, new Date()));
  const delivered = await deliver(progress, ending, delivery);
  await announced;
  try {
    await finishOnServer(progress, delivered, { signal: input.giveUp, log });
    return true;
  } catch (error) {
    log.error(`Job ${input.job.id} could not be finished on the web UI: ${errorText(error)}`);
    return false;
  } finally {
    await removeJobState(input.settings.poolDirectory);
  }
}

async function tellUploading({ input }: JobInProgress, context: Context): Promise<void> {
  try {
    await postUploading(input.webUi, input.job.id, context);
  } catch (error) {
    context.log.warn(`Unable to tell the web UI that job ${input.job.id} uploads: ${errorText(error)}`);
  }
}

/** Stop reasons of a job whose isotovideo has ended: it has told developer sessions so. */
const endedByItself: ReadonlySet<string> = new Set(["done", "died"]);

/** Afterwards no process of the job is alive. */
async function stopIsotovideo(
  { isotovideo, prepared, input }: JobInProgress,
  { stopReason }: Ending,
  context: Context,
): Promise<IsotovideoEnd | undefined> {
  if (!isotovideo) return undefined;
  const signal = AbortSignal.any([context.signal, input.kill]);
  const kill = () => void isotovideo.kill();
  signal.addEventListener("abort", kill, { once: true });
  try {
    if (signal.aborted) return await isotovideo.kill();
    if (prepared && !endedByItself.has(stopReason))
      await announceStop(prepared.commandServerUrl, stopReason, { ...context, signal });
    return await isotovideo.stop();
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

/** Uploads files and the last results side by side, and resolves with what the job ends as then. Never throws. */
async function deliver(progress: JobInProgress, ending: Ending, context: Context): Promise<Ending> {
  try {
    return await uploadEverything(progress, ending, context);
  } catch (error) {
    context.log.error(`Not everything of the job could be delivered: ${errorText(error)}`);
    // Why the worker stops counts for more than what it had no time for.
    return context.signal.aborted ? ending : { stopReason: "exception" };
  }
}

/** A failed upload changes what the job ends as. */
async function uploadEverything(progress: JobInProgress, ending: Ending, context: Context): Promise<Ending> {
  const conclusion = conclusions[ending.stopReason];
  if (conclusion.duplicates) await duplicate(progress, context);
  const lastStatus = conclusion.postsLastStatus ? progress.reporter?.finish(context) : undefined;
  const [files, uploadError] = await Promise.all([
    conclusion.uploadsLogs ? uploadFiles(progress, conclusion.uploadsAssets, context) : [],
    lastStatus,
  ]);
  if (files.length > 0) return { stopReason: "api-failure" };
  return uploadError === undefined ? ending : { ...ending, uploadError };
}

function uploadFiles(
  { input, jobLog }: JobInProgress,
  withAssets: boolean,
  context: Context,
): Promise<GroupFailure[]> {
  const { settings, webUi, job } = input;
  return uploadJobFiles(
    {
      webUi,
      jobId: job.id,
      poolDirectory: settings.poolDirectory,
      settings,
      withAssets,
      redactVars: (inner) => redactVarsFile(settings.poolDirectory, inner),
      announce: (name) => jobLog.announceUpload(name),
    },
    context,
  );
}

/** Makes the reason out and sends it with the result. */
async function finishOnServer(progress: JobInProgress, ending: Ending, context: Context): Promise<void> {
  const { input, isotovideo } = progress;
  const { job, webUi, settings } = input;
  const { poolDirectory } = settings;
  const { stopReason } = ending;
  const { maxResultFileBytes: maxFileBytes } = settings.own.limits;
  const baseState = await readBaseState({ poolDirectory, maxFileBytes }, context.log);
  const logPath = join(poolDirectory, autoinstLogName);
  const hasToSearch = dependsOnLog({ stopReason, baseState });
  const reason = formatReason({
    ...ending,
    hasStarted: isotovideo !== undefined,
    apiError: ending.apiError ?? webUi.errors.text(),
    baseState,
    log: hasToSearch ? await searchLog(logPath, context.signal) : nothingFound,
  });
  const result = resultToSend(stopReason, baseState);
  context.log.info(`Job ${job.id} ends: ${result ?? "result by its modules"}${reason ? ` (${reason})` : ""}`);
  const { newbuild } = conclusions[stopReason];
  input.isEnded();
  await sendResult(input, { result, reason, newbuild }, context);
}

/**
 * Repeated until the server has answered, but only after asking whether it took effect: the server fires its hooks at
 * each call.
 */
async function sendResult({ webUi, job, settings }: JobInput, end: JobEnd, context: Context): Promise<void> {
  for (let triesLeft = settings.restTries - 1; ; triesLeft--) {
    try {
      await setDone(webUi, job.id, end, context);
      return;
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof ApiError) || error.isFinal || triesLeft <= 0) throw error;
      context.log.warn(`The web UI has not confirmed the end of job ${job.id}: ${error.message}`);
      await sleep(webUi.host.retryDelayMs, context.signal);
      const { state } = await getJob(webUi, job.id, context);
      if (state === "done") return;
    }
  }
}

async function duplicate({ input }: JobInProgress, context: Context): Promise<void> {
  try {
    await duplicateJob(input.webUi, input.job.id, context);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    context.log.error(`Unable to duplicate job ${input.job.id}: ${error.message}`);
  }
}

function exitText(end: IsotovideoEnd): string {
  if (end.kind === "exited") return String(end.code);
  return end.kind === "signalled" ? `ended by ${end.signal}` : "unknown";
}
