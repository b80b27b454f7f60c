// The job that a slot has, from the offer on, and the work on it once it is accepted.
import type { AssetCaches } from "../cache/worker/asset-caches.ts";
import type { Settings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { errorText } from "../errors.ts";
import type { Job } from "../job/job.ts";
import type { JobInput } from "../job/job-in-progress.ts";
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
  phase: "accepting" | "working" | "ending" | "ended";
  /** As it goes into statuses: with the address of the command server, once there is one. */
  shown: Readonly<Record<string, unknown>>;
}

export interface WorkPlace {
  readonly settings: Settings;
  readonly program: Program;
  readonly caches: AssetCaches;
  readonly lock: PoolLock;
  readonly stops: StopSignals;
  readonly workerHostname: string;
  /** isotovideo runs: every web UI is told. */
  readonly tellAll: () => void;
}

/**
 * Brings an accepted job to its end on the web UI, whatever happens, and tidies up. Never throws. Resolves with whether
 * the server has been told.
 */
export async function workOn(current: CurrentJob, place: WorkPlace, log: Logger): Promise<boolean> {
  const { job, connection } = current;
  const { settings, stops, tellAll } = place;
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
      tellAll();
    },
    isEnding: () => {
      current.phase = "ending";
    },
    isEnded: () => {
      current.phase = "ended";
    },
  };
  const isDelivered = await runToEnd(input, current, log);
  // A worker that ends leaves the pool to be looked at.
  const isStopping = stops.stop.aborted || stops.drain.aborted;
  if (settings.cleansPool && !isStopping)
    await emptyPool(place, log).catch((error) => log.error(errorText(error)));
  return isDelivered;
}

async function runToEnd(input: JobInput & WorkPlace, current: CurrentJob, log: Logger): Promise<boolean> {
  try {
    if (input.settings.cleansPool) await emptyPool(input, log);
    return await runJob(input, { signal: current.controller.signal, log });
  } catch (error) {
    log.error(`Internal error: ${error instanceof Error ? error.stack : errorText(error)}`);
    return await reportBroken(current, `worker broken: ${errorText(error)}`, { log, signal: input.giveUp });
  }
}

function emptyPool({ lock, settings }: WorkPlace, log: Logger): Promise<void> {
  return emptyPoolDirectory(lock, settings.instance, log);
}

/** The server does not take a second result: one that the job has stays. */
async function reportBroken(
  { connection, job }: CurrentJob,
  reason: string,
  context: Context,
): Promise<boolean> {
  try {
    await setDone(connection.client, job.id, { result: "incomplete", reason }, context);
    return true;
  } catch (error) {
    context.log.error(`Unable to report the end of job ${job.id}: ${errorText(error)}`);
    return false;
  }
}
