// Moves the end of a job to the spool, and delivers it from there: an entry is laid out like a pool, so both go the same way.
import type { Settings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { ApiError, errorText } from "../errors.ts";
import { getJob } from "../webui/jobs-api.ts";
import type { WebUi } from "../webui/web-ui.ts";
import { type DeliveredEnd, deliverEnd } from "./deliver-end.ts";
import { type JobLog, openJobLog } from "./job-log.ts";
import { JobRecord } from "./job-record.ts";
import { reporterOf } from "./job-reporter.ts";
import { JobWebUi } from "./job-web-ui.ts";
import { redactVarsFile } from "./redact.ts";
import type { Spool, SpoolEntry } from "./spool/spool.ts";

/** Of a job in the pool. `refusedBecause`: it is only kept. Throws `WorkerError` when there is no room for it. */
export async function spoolEnd(
  { spool }: { readonly spool: Spool },
  record: JobRecord,
  refusedBecause: string | undefined,
  context: Context,
): Promise<void> {
  const poolDirectory = record.directory;
  await record.save("spooling");
  const isVarsRedacted = await redactVarsFile(poolDirectory, context).then(
    () => true,
    () => false,
  );
  const entry = await spool.take({ poolDirectory, state: record.state, isVarsRedacted }, context);
  await record.remove();
  if (refusedBecause === undefined) context.log.warn(`The end of the job waits in ${entry.directory}`);
  else await putAside(spool, entry, refusedBecause, context);
}

/** What the web UI refuses for good. Throws `SpoolError`. */
export async function putAside(
  spool: Spool,
  entry: SpoolEntry,
  why: string,
  context: Context,
): Promise<void> {
  const kept = await spool.refuse(entry, why, context);
  context.log.error(kept === undefined ? "Its results are not kept" : `Its results are kept in ${kept}`);
}

/** Never throws. `isEnded` is called when the web UI is about to be told the end. */
export async function deliverEntry(
  { directory, state }: SpoolEntry,
  {
    webUi,
    settings,
    isEnded,
  }: { readonly webUi: WebUi; readonly settings: Settings; readonly isEnded: () => void },
  context: Context,
): Promise<DeliveredEnd> {
  const patience = new JobWebUi(webUi);
  patience.becomeImpatient(1);
  const jobId = String(state.job.id);
  const record = new JobRecord(directory, state, context.log);
  let jobLog: JobLog | undefined;
  try {
    // One call finds that out, with one line in the log; else each file would.
    if (await isAway(patience, jobId, context)) return "undelivered";
    jobLog = await openJobLog(directory, settings.logLevel, { isContinued: true });
    const reporter = state.run && reporterOf(record, { jobId, webUi: patience, settings });
    const log = context.log.also(jobLog.sink);
    const ended = { jobId, webUi: patience, settings, record, jobLog, reporter, isEnded };
    return await deliverEnd(ended, state.ending ?? { stopReason: "died" }, { ...context, log });
  } catch (error) {
    context.log.error(`Unable to deliver ${directory}: ${errorText(error)}`);
    return "undelivered";
  } finally {
    await jobLog?.close();
  }
}

async function isAway(webUi: WebUi, jobId: string, context: Context): Promise<boolean> {
  return await getJob(webUi, jobId, context).then(
    () => false,
    (error) => error instanceof ApiError && error.isAway,
  );
}
