// A job with many screenshots: what a worker does with them, measured and checked.
import { postJob } from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import type { Worker } from "../../e2e/workers.ts";
import { expectPassed, whenDone } from "../job-answer.ts";
import { cpuMs } from "../process-figures.ts";
import { isotovideoCpuMs, isotovideoSpan } from "../timing.ts";
import type { ScreenshotIsotovideo, ScreenshotJob } from "./screenshot-isotovideo.ts";
import { readStoredPictures, removeStoredPictures } from "./stored-pictures.ts";

const limitMs = 300_000;
/** What a worker still does after a job belongs to it. */
const settleMs = 1000;

export interface ScreenshotRun {
  readonly job: number;
  /** isotovideo ended → set_done answered. */
  readonly seconds: number;
  /** Of the worker side, without isotovideo's. */
  readonly cpuSeconds: number;
  /** Of pictures and thumbnails on the web UI. */
  readonly bytes: number;
  /** Share of the pictures that arrived as they were written, from 0 to 1. */
  readonly unoptimised: number;
  /** How late the worker's event loop was, as its log has it; the stock worker does not say. */
  readonly lag: Lag | undefined;
}

interface Lag {
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Throws unless the job passes with all pictures on the web UI, which are removed afterwards. */
export async function runScreenshotJob(
  server: OpenqaServer,
  worker: Worker,
  isotovideo: ScreenshotIsotovideo,
  workerClass: string,
  job: ScreenshotJob,
): Promise<ScreenshotRun> {
  const cpuBefore = await ownCpuMs(worker);
  const loggedBefore = (await worker.log()).length;
  const id = await postJob(server, isotovideo.settings(workerClass, job));
  // Looking for the end would take CPU time from what is going on.
  await Bun.sleep(1000 * job.seconds);
  const doneMs = await whenDone(server, id, limitMs);
  await Bun.sleep(settleMs);
  const cpuSeconds = ((await ownCpuMs(worker)) - cpuBefore) / 1000;
  await expectPassed(server, id);
  const stored = await readStoredPictures(server, id, job.pictures, isotovideo.keptFolder(id));
  await removeStoredPictures(server);
  return {
    job: id,
    seconds: (doneMs - (await isotovideoSpan(worker)).to) / 1000,
    cpuSeconds,
    bytes: stored.bytes,
    unoptimised: stored.unoptimised / stored.count,
    lag: lagIn((await worker.log()).slice(loggedBefore)),
  };
}

function lagIn(log: string): Lag | undefined {
  const [, p99, max] = /Event loop: late by .* ([\d.]+) ms \(p99\), ([\d.]+) ms \(max\)/.exec(log) ?? [];
  return p99 === undefined ? undefined : { p99Ms: Number(p99), maxMs: Number(max) };
}

/** Of all processes that the worker side has had so far, those that it has waited for included, without isotovideo's. */
async function ownCpuMs(worker: Worker): Promise<number> {
  const times = await Promise.all((await worker.processes()).map(({ pid }) => cpuMs(pid)));
  const all = times.reduce((sum, { own, ofChildren }) => sum + own + ofChildren, 0);
  return all - (await isotovideoCpuMs(worker));
}
