// What an earlier start of the worker has left in the pool of a slot: a job to go on with, or something to tidy up.
import type { Settings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { endLeftOverJob } from "../isotovideo/left-over-job.ts";
import { JobRecord } from "../job/job-record.ts";
import type { Spool } from "../job/spool/spool.ts";
import { spoolEnd } from "../job/spool-end.ts";
import { type JobState, readJobState, removeJobState } from "../job/state-file.ts";
import { grabJob, type OfferedJob } from "../webui/job-offers.ts";

export interface LeftJob {
  readonly job: OfferedJob;
  readonly state: JobState;
}

/**
 * The job to go on with. Everything else that is left is brought to an end: a job that was being set up, which its server
 * schedules again when the slot registers without naming it, and one of a host that is no longer configured; of a job that
 * had ended, the end goes to the spool.
 */
export async function findLeftJob(
  settings: Settings,
  spool: Spool,
  context: Context,
): Promise<LeftJob | undefined> {
  const { poolDirectory, hosts } = settings;
  const { log } = context;
  const state = await readJobState(poolDirectory);
  const job = state && grabJob(state.job);
  const isServed = hosts.some(({ name }) => name === state?.host);
  if (state?.phase === "spooling" && (await waitsInSpool(poolDirectory, state, spool, context)))
    return undefined;
  if (state && job?.kind === "grab_job" && isServed && state.phase !== "setup")
    return { job: job.job, state };
  const ended = await endLeftOverJob(poolDirectory, context);
  if (state?.ending && (await waitsInSpool(poolDirectory, state, spool, context))) return undefined;
  if (state && (ended.length > 0 || state.phase !== "setup")) {
    const why = isServed ? `it was amid "${state.phase}"` : `${state.host} is not configured any more`;
    log.warn(
      `Job ${state.job.id} of ${state.host}, which an earlier worker has left, does not go on: ${why}`,
    );
  }
  await removeJobState(poolDirectory);
  return undefined;
}

/** A job that had ended: what its web UI has to be told is kept for that. */
async function waitsInSpool(
  poolDirectory: string,
  state: JobState,
  spool: Spool,
  context: Context,
): Promise<boolean> {
  try {
    await spoolEnd({ spool }, new JobRecord(poolDirectory, state, context.log), undefined, context);
    return true;
  } catch (error) {
    context.log.error(`Job ${state.job.id} cannot wait in the spool: ${errorText(error)}`);
    return false;
  }
}
