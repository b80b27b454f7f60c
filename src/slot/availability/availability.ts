// Whether a slot can take a job: looked at before each status without a job and at each offer (protocol 3.3).
import { abortable } from "../../abortable.ts";
import type { AssetCaches } from "../../cache/worker/asset-caches.ts";
import { chooseWorkerCache } from "../../cache/worker/choose-worker-cache.ts";
import type { CacheSettings, Settings } from "../../config/settings.ts";
import type { Context, Program } from "../../context.ts";
import { errorText } from "../../errors.ts";
import type { PoolLock } from "../pool-lock.ts";
import { findCriticalLoad } from "./critical-load.ts";
import { findLackOfSpace } from "./free-space.ts";
import { endStalePidFile, runningQemu } from "./left-over-qemu.ts";
import { findOpenVswitchProblem } from "./open-vswitch.ts";
import { StartLimit } from "./start-limit.ts";
import type { StartPermit, StartThrottle } from "./start-throttle.ts";
import { findWorkerAddress } from "./worker-address.ts";

export interface AvailabilityPlace {
  readonly settings: Settings;
  readonly program: Pick<Program, "nodeName" | "env">;
  readonly caches: AssetCaches;
  readonly lock: PoolLock;
  /** Undefined: starts are not throttled. */
  readonly throttle: StartThrottle | undefined;
  /** Called when a reason that goes away by itself (the throttle's) is gone. */
  readonly onRoom: () => void;
}

/** Why a slot takes no new job. */
export interface Unavailability {
  readonly reason: string;
  /** Only then queued jobs are skipped too: the pool is not this worker's any more (field lesson 29). */
  readonly isFatal: boolean;
}

export class Availability {
  /** What the last check found. */
  last: Unavailability | undefined;
  /** Address under which the web UI reaches this host, found by the last check. */
  workerHostname: string | undefined;

  /** A look at the cache under way: one that hangs is not joined by others. */
  private looking: Promise<string | undefined> | undefined;
  private readonly limit: StartLimit;

  constructor(
    private readonly place: AvailabilityPlace,
    private readonly context: Context,
  ) {
    this.limit = new StartLimit(place, context);
  }

  /** Changes are logged. */
  async check(): Promise<Unavailability | undefined> {
    const { settings, program } = this.place;
    // Also when there is another reason: a queue goes on, and its jobs need the address.
    this.workerHostname = await findWorkerAddress(settings, program.nodeName);
    return this.note(await this.find());
  }

  /** For a job that begins; to be released when that has ended. Refused, the slot stays unavailable while it would be. */
  async takePermit(): Promise<StartPermit | Unavailability> {
    const taken = await this.limit.take();
    return typeof taken === "string" ? this.note({ reason: taken, isFatal: false }) : taken;
  }

  private note<T extends Unavailability | undefined>(found: T): T {
    const { log } = this.context;
    if (found && found.reason !== this.last?.reason) log.warn(found.reason);
    if (!found && this.last) log.info("The slot can take jobs again");
    this.last = found;
    return found;
  }

  /** The first reason, in the order of protocol 3.3, but first of all the pool: nothing is touched in one of others. */
  private async find(): Promise<Unavailability | undefined> {
    const lost = await this.place.lock.findProblem();
    if (lost !== undefined) return { reason: lost, isFatal: true };
    for (const look of this.looks) {
      const reason = await look();
      if (reason !== undefined) return { reason, isFatal: false };
    }
    return undefined;
  }

  private readonly looks: readonly (() => Promise<string | undefined>)[] = [
    () => this.findCacheProblem(),
    () => findLeftOverQemu(this.place.settings),
    () => findLackOfSpace(this.place.settings.poolDirectory),
    () => this.findAddressProblem(),
    () => findOpenVswitchProblem(this.place.settings, this.place.program, this.context),
    () => findCriticalLoad(this.place.settings),
    () => this.limit.findProblem(),
  ];

  private async findAddressProblem(): Promise<string | undefined> {
    if (this.workerHostname !== undefined) return undefined;
    return "Unable to determine worker address (WORKER_HOSTNAME)";
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

async function findLeftOverQemu({ poolDirectory, cleansPool }: Settings): Promise<string | undefined> {
  const pid = await (cleansPool ? endStalePidFile : runningQemu)(poolDirectory);
  if (pid === undefined) return undefined;
  return `A QEMU instance using the current pool directory is still running (PID: ${pid})`;
}
