// A job with many screenshots: what a worker does with them, measured and checked.
import { postJob } from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import type { Worker } from "../../e2e/workers.ts";
import { expectPassed, whenDone } from "../job-answer.ts";
import { type Lag, lastLag } from "../logged-lag.ts";
import { peakMbUntil, sideCpuMs } from "../side-use.ts";
import { isotovideoSpan } from "../timing.ts";
import type { ScreenshotIsotovideo, ScreenshotJob } from "./screenshot-isotovideo.ts";
import { readStoredPictures, removeStoredPictures } from "./stored-pictures.ts";

const limitMs = 300_000;

export interface ScreenshotRun {
  readonly job: number;
  /** isotovideo ended → set_done answered. */
  readonly seconds: number;
  /** Of the worker side, without isotovideo's. */
  readonly cpuSeconds: number;
  readonly peakMb: number;
  /** Of pictures and thumbnails on the web UI. */
  readonly bytes: number;
  /** Share of the pictures that arrived as they were written, from 0 to 1. */
  readonly unoptimised: number;
  /** How late the worker's event loop was, as its log has it; the stock worker does not say. */
  readonly lag: Lag | undefined;
}

/** Throws unless the job passes with all pictures on the web UI, which are removed afterwards. */
export async function runScreenshotJob(
  server: OpenqaServer,
  worker: Worker,
  isotovideo: ScreenshotIsotovideo,
  workerClass: string,
  job: ScreenshotJob,
): Promise<ScreenshotRun> {
  const cpuBefore = await sideCpuMs(server, worker);
  const loggedBefore = (await worker.log()).length;
  const id = await postJob(server, isotovideo.settings(workerClass, job));
  // Looking for the end would take CPU time from what is going on.
  const done = Bun.sleep(1000 * job.seconds).then(() => whenDone(server, id, limitMs));
  const peakMb = await peakMbUntil(done, worker);
  const cpuSeconds = ((await sideCpuMs(server, worker)) - cpuBefore) / 1000;
  await expectPassed(server, id);
  const stored = await readStoredPictures(server, id, job.pictures, isotovideo.keptFolder(id));
  await removeStoredPictures(server);
  return {
    job: id,
    seconds: ((await done) - (await isotovideoSpan(worker)).to) / 1000,
    cpuSeconds,
    peakMb,
    bytes: stored.bytes,
    unoptimised: stored.unoptimised / stored.count,
    lag: lastLag((await worker.log()).slice(loggedBefore)),
  };
}
