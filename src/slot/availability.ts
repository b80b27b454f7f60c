// Whether a slot can take a job: looked at before each status without a job and at each offer (protocol 3.3).
import { readFile } from "node:fs/promises";
import { abortable } from "../abortable.ts";
import type { AssetCaches } from "../cache/worker/asset-caches.ts";
import { chooseWorkerCache } from "../cache/worker/choose-worker-cache.ts";
import type { CacheSettings, Settings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { errorText } from "../errors.ts";
import { runningQemu } from "./left-over-qemu.ts";
import { findWorkerAddress } from "./worker-address.ts";

export interface AvailabilityPlace {
  readonly settings: Settings;
  readonly program: Pick<Program, "nodeName">;
  readonly caches: AssetCaches;
}

export class Availability {
  /** What the last check found: why the slot cannot take jobs. */
  unavailable: string | undefined;
  /** Address under which the web UI reaches this host, found by the last check. */
  workerHostname: string | undefined;

  /** A look at the cache under way: one that hangs is not joined by others. */
  private looking: Promise<string | undefined> | undefined;

  constructor(
    private readonly place: AvailabilityPlace,
    private readonly context: Context,
  ) {}

  /** Changes are logged. */
  async check(): Promise<string | undefined> {
    const { settings, program } = this.place;
    const { log } = this.context;
    this.workerHostname = await findWorkerAddress(settings, program.nodeName);
    const unavailable =
      (await this.findCacheProblem()) ?? (await findUnavailability(settings, this.workerHostname));
    if (unavailable !== undefined && unavailable !== this.unavailable) log.warn(unavailable);
    if (unavailable === undefined && this.unavailable !== undefined) log.info("The slot can take jobs again");
    this.unavailable = unavailable;
    return unavailable;
  }

  /** Of caching, when it is on. Nothing is found any more when the worker is told to stop meanwhile. */
  private async findCacheProblem(): Promise<string | undefined> {
    const { cache } = this.place.settings;
    if (!cache) return undefined;
    this.looking ??= lookAtCache(this.place, cache, this.context).finally(() => {
      this.looking = undefined;
    });
    const { signal } = this.context;
    // A disk may hang: the slot must not.
    const late = new AbortController();
    const limitMs = cache.service.checkTimeoutMs + answerMarginMs;
    const timer = setTimeout(() => late.abort(), limitMs);
    try {
      return await abortable(this.looking, AbortSignal.any([signal, late.signal]));
    } catch {
      if (signal.aborted) return undefined;
      return `Worker cache not available: ${cache.directory} does not answer within ${limitMs / 1000} s`;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** For what comes before the cache service is asked. */
const answerMarginMs = 5000;

/** Never rejects. */
async function lookAtCache(
  { settings: { own }, caches }: AvailabilityPlace,
  settings: CacheSettings,
  context: Context,
): Promise<string | undefined> {
  try {
    const cache = await chooseWorkerCache({ settings, own, caches }, context);
    return await cache.findProblem(context);
  } catch (error) {
    return `Worker cache not available: ${errorText(error)}`;
  }
}

/** The first reason found; undefined: there is none. */
async function findUnavailability(
  { poolDirectory, loadAverageFile, criticalLoadAverage }: Settings,
  workerHostname: string | undefined,
): Promise<string | undefined> {
  const qemuPid = await runningQemu(poolDirectory);
  if (qemuPid !== undefined)
    return `A QEMU instance using the current pool directory is still running (PID: ${qemuPid})`;
  if (workerHostname === undefined) return "Unable to determine worker address (WORKER_HOSTNAME)";
  return criticalLoad(await readLoad(loadAverageFile), criticalLoadAverage);
}

/** Rising load counts, falling load does not. `loads` are the averages over 1, 5 and 15 minutes. */
export function criticalLoad(loads: readonly number[], threshold: number): string | undefined {
  const [one, five, fifteen] = loads;
  if (one === undefined || five === undefined || fifteen === undefined || threshold <= 0) return undefined;
  const isRising = one > five || one > fifteen || Math.min(one, five, fifteen) > threshold;
  if (Math.max(one, five, fifteen) <= threshold || !isRising) return undefined;
  return `The average load (${loads.join(" ")}) is exceeding the configured threshold of ${threshold}. The worker will temporarily not accept new jobs until the load is lower again.`;
}

/** Three averages, or none when they cannot be read: then there is no limit. */
async function readLoad(file: string): Promise<readonly number[]> {
  try {
    const loads = (await readFile(file, "latin1")).split(/\s+/, 3).map(Number);
    return loads.length === 3 && loads.every((load) => load >= 0) ? loads : [];
  } catch {
    return [];
  }
}
