// Sends how a job has ended, once all else is delivered (protocol 8.1, step 6; 8.3): the result and the reason, made out
// from what its directory holds.
import { join } from "node:path";
import type { Settings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { ApiError } from "../errors.ts";
import { readBaseState } from "../results/state-files.ts";
import { sleep } from "../sleep.ts";
import { getJob, type JobEnd, setDone } from "../webui/jobs-api.ts";
import type { WebUi } from "../webui/web-ui.ts";
import { autoinstLogName } from "./job-log.ts";
import type { JobRecord } from "./job-record.ts";
import { nothingFound, searchLog } from "./log-search.ts";
import { dependsOnLog, formatReason } from "./reason.ts";
import { conclusions, type Ending, resultToSend } from "./stop-reason.ts";

export interface ConcludedJob {
  /** Digits. */
  readonly jobId: string;
  readonly webUi: WebUi;
  readonly settings: Settings;
  /** Of the directory that everything is in. */
  readonly record: JobRecord;
  /** The web UI is about to be told: for it the slot is free from now on. */
  readonly isEnded?: () => void;
}

/** In the record of what was delivered: `set_done` was sent, whatever came of it. */
export const endSent = "set_done";

/** Makes the reason out and sends it with the result; resolves with what the server has stored. */
export async function sendEnd(
  ended: ConcludedJob,
  ending: Ending,
  context: Context,
): Promise<string | undefined> {
  const { jobId, webUi, settings, record } = ended;
  const { stopReason } = ending;
  const { maxResultFileBytes: maxFileBytes } = settings.own.limits;
  const poolDirectory = record.directory;
  const baseState = await readBaseState({ poolDirectory, maxFileBytes }, context.log);
  const reason = formatReason({
    ...ending,
    hasStarted: record.state.run !== undefined,
    apiError: ending.apiError ?? webUi.errors.text(),
    baseState,
    log: dependsOnLog({ stopReason, baseState })
      ? await searchLog(join(poolDirectory, autoinstLogName), context.signal)
      : nothingFound,
  });
  const result = resultToSend(stopReason, baseState);
  context.log.info(`Job ${jobId} ends: ${result ?? "result by its modules"}${reason ? ` (${reason})` : ""}`);
  const { newbuild } = conclusions[stopReason];
  ended.isEnded?.();
  await record.delivered(endSent);
  return await sendResult(ended, { result, reason, newbuild }, context);
}

/**
 * Repeated until the server has answered, but only after asking whether it took effect: the server fires its hooks at
 * each call.
 */
async function sendResult(ended: ConcludedJob, end: JobEnd, context: Context): Promise<string | undefined> {
  const { jobId, webUi, settings } = ended;
  for (let triesLeft = settings.restTries - 1; ; triesLeft--) {
    try {
      return (await setDone(webUi, jobId, end, context)).result;
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof ApiError) || error.isFinal || triesLeft <= 0) throw error;
      context.log.warn(`The web UI has not confirmed the end of job ${jobId}: ${error.message}`);
      await sleep(webUi.host.retryDelayMs, context.signal);
      const { state, result } = await getJob(webUi, jobId, context);
      if (state === "done") return result;
      throwIfScheduled(state);
    }
  }
}

/** `set_done` could come when the job has been assigned anew, also to this slot, and would end it. */
export function throwIfScheduled(state: string): void {
  if (state === "scheduled") throw new ApiError("it has been scheduled again there", 400);
}
