// A job that a slot has, from the offer on, and the work on it once it is accepted.
import type { AssetCaches } from "../cache/worker/asset-caches.ts";
import type { Settings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { errorText } from "../errors.ts";
import { endLeftOverJob } from "../isotovideo/left-over-job.ts";
import type { Job } from "../job/job.ts";
import type { JobInput } from "../job/job-in-progress.ts";
import { type JobOutcome, outcome } from "../job/job-outcome.ts";
import { resumeJob } from "../job/resume-job.ts";
import { runJob } from "../job/run-job.ts";
import type { Spool } from "../job/spool/spool.ts";
import type { JobState } from "../job/state-file.ts";
import type { EventLoopLag } from "../ops/event-loop-lag.ts";
import { lagText } from "../ops/lag-histogram.ts";
import type { Logger } from "../ops/log.ts";
import type { Optimises } from "../pictures/picture-optimiser.ts";
import { Audience } from "../results/audience.ts";
import type { StopSignals } from "../stop-requests.ts";
import type { Connection } from "../webui/connection.ts";
import { setDone } from "../webui/jobs-api.ts";
import { emptyPoolDirectory } from "./pool-directory.ts";
import type { PoolLock } from "./pool-lock.ts";

/** In this order; what is said to a job before "setup" has begun costs no request. */
export const jobPhases = ["accepting", "setup", "running", "ending", "ended"] as const;
export type JobPhase = (typeof jobPhases)[number];

export class CurrentJob {
  phase: JobPhase = "accepting";
  /** As it goes into statuses: with the address of the command server, once there is one. */
  shown: Readonly<Record<string, unknown>>;
  readonly audience = new Audience();
  /** Aborted with a `JobStop`. */
  readonly controller = new AbortController();

  constructor(readonly job: Job) {
    this.shown = job.received;
  }
}

export interface WorkPlace {
  readonly settings: Settings;
  readonly program: Program;
  readonly caches: AssetCaches;
  readonly optimiser: Optimises;
  readonly lag: EventLoopLag;
  readonly lock: PoolLock;
  readonly spool: Spool;
  readonly stops: StopSignals;
}

/** How a job is worked on: one that was accepted, or with `left` one that an earlier start of the worker has left. */
export interface Work {
  readonly connection: Connection;
  readonly workerHostname: string;
  /** isotovideo runs: every web UI is told. */
  readonly hasStarted: () => void;
  readonly left?: JobState | undefined;
}

/** Brings a job to its end on the web UI, whatever happens, and tidies up. Never throws. */
export async function workOn(
  current: CurrentJob,
  work: Work,
  place: WorkPlace,
  log: Logger,
): Promise<JobOutcome> {
  const { job, controller } = current;
  const { connection, workerHostname, left } = work;
  const { settings, stops } = place;
  connection.client.errors.forget();
  const input: JobInput = {
    ...place,
    ...stops,
    job,
    webUi: connection.client,
    audience: current.audience,
    workerHostname,
    entered: (phase) => {
      current.phase = phase;
    },
    hasStarted: (shown) => {
      current.shown = shown;
      work.hasStarted();
    },
  };
  const context = { signal: controller.signal, log };
  using lag = place.lag.record();
  const outcome = await toItsEnd(input, left, place, context);
  log.debug(lagText(lag.summary()));
  // A worker that ends leaves the pool to be looked at.
  const isStopping = stops.stop.aborted || stops.drain.aborted;
  if (settings.cleansPool && !isStopping)
    await emptyPool(place, log).catch((error) => log.error(errorText(error)));
  return outcome;
}

async function toItsEnd(
  input: JobInput,
  left: JobState | undefined,
  place: WorkPlace,
  context: Context,
): Promise<JobOutcome> {
  try {
    if (left) return await resumeJob(input, left, context);
    input.entered("setup");
    if (place.settings.cleansPool) await emptyPool(place, context.log);
    return await runJob(input, context);
  } catch (error) {
    context.log.error(`Internal error: ${error instanceof Error ? error.stack : errorText(error)}`);
    const reason = `worker broken: ${errorText(error)}`;
    // Whatever of it runs is not under anybody's control.
    await endLeftOverJob(place.settings.poolDirectory, { log: context.log, signal: input.giveUp }).catch(
      () => {},
    );
    return await reportBroken(input, reason, { log: context.log, signal: input.giveUp });
  }
}

function emptyPool({ lock, settings }: WorkPlace, log: Logger): Promise<void> {
  return emptyPoolDirectory(lock, settings.instance, log);
}

/** The server does not take a second result: one that the job has stays. */
async function reportBroken({ webUi, job }: JobInput, reason: string, context: Context): Promise<JobOutcome> {
  try {
    await setDone(webUi, job.id, { result: "incomplete", reason }, context);
    return outcome("told");
  } catch (error) {
    context.log.error(`Unable to report the end of job ${job.id}: ${errorText(error)}`);
    return outcome("lost");
  }
}
