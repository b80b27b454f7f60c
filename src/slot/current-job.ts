// The job that a slot has, from the offer on, and the work on it once it is accepted.
import type { Settings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { errorText } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { runJob } from "../job/run-job.ts";
import type { Logger } from "../ops/log.ts";
import type { StopSignals } from "../stop-requests.ts";
import type { Connection } from "../webui/connection.ts";
import { setDone } from "../webui/jobs-api.ts";
import { emptyPoolDirectory } from "./pool-directory.ts";
import type { PoolLock } from "./pool-lock.ts";

export interface CurrentJob {
  readonly job: Job;
  readonly connection: Connection;
  /** Aborted with a `JobStop`. */
  readonly controller: AbortController;
  phase: "accepting" | "working" | "ending";
  /** As it goes into statuses: with the address of the command server, once there is one. */
  shown: Readonly<Record<string, unknown>>;
}

export interface WorkPlace {
  readonly settings: Settings;
  readonly program: Program;
  readonly lock: PoolLock;
  readonly stops: StopSignals;
  readonly workerHostname: string;
  /** isotovideo runs: every web UI is told. */
  readonly hasStarted: () => void;
}

/** Brings an accepted job to its end on the web UI, whatever happens. Never throws. */
export async function workOn(current: CurrentJob, place: WorkPlace, log: Logger): Promise<void> {
  const { job, connection, controller } = current;
  const { settings, lock, stops, hasStarted } = place;
  log.info(`Accepted job ${job.id} of ${connection.host.name}`);
  connection.client.errors.forget();
  current.phase = "working";
  const input = {
    ...place,
    ...stops,
    job,
    webUi: connection.client,
    hasStarted: (shown: CurrentJob["shown"]) => {
      current.shown = shown;
      hasStarted();
    },
    isEnding: () => {
      current.phase = "ending";
    },
  };
  try {
    if (settings.cleansPool) await emptyPoolDirectory(lock, settings.instance);
    await runJob(input, { signal: controller.signal, log });
    // A worker that ends leaves the pool to be looked at.
    const isEnding = stops.stop.aborted || stops.drain.aborted;
    if (settings.cleansPool && !isEnding) await emptyPoolDirectory(lock, settings.instance);
  } catch (error) {
    log.error(`Internal error: ${error instanceof Error ? error.stack : errorText(error)}`);
    await reportBroken(current, `worker broken: ${errorText(error)}`, { log, signal: stops.giveUp });
  }
}

/** The server does not take a second result: one that the job has stays. */
async function reportBroken(
  { connection, job }: CurrentJob,
  reason: string,
  context: Context,
): Promise<void> {
  try {
    await setDone(connection.client, job.id, { result: "incomplete", reason }, context);
  } catch (error) {
    context.log.error(`Unable to report the end of job ${job.id}: ${errorText(error)}`);
  }
}
