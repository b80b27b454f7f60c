// The life of a slot: its pool is locked before anything is registered, what an earlier start has left is taken over, its
// connections live until it has ended.
import type { AssetCaches } from "../cache/worker/asset-caches.ts";
import type { Settings } from "../config/settings.ts";
import type { Program } from "../context.ts";
import { SlotTakenError } from "../errors.ts";
import type { EventLoopLag } from "../ops/event-loop-lag.ts";
import type { Logger } from "../ops/log.ts";
import type { Optimises } from "../pictures/picture-optimiser.ts";
import { sleep } from "../sleep.ts";
import type { StopSignals } from "../stop-requests.ts";
import { maintainConnection } from "../webui/connection.ts";
import { RestClient } from "../webui/rest-client.ts";
import { workOn } from "./current-job.ts";
import { type HostFacts, registrationOf } from "./host-facts.ts";
import { findLeftJob } from "./left-job.ts";
import { placePackages } from "./package-list.ts";
import { lockPool, type PoolLock } from "./pool-lock.ts";
import { Slot } from "./slot.ts";
import { SpooledJobs, spoolOf } from "./spooled-jobs.ts";

export interface RunSlotOptions {
  readonly settings: Settings;
  readonly program: Program;
  readonly caches: AssetCaches;
  readonly optimiser: Optimises;
  readonly lag: EventLoopLag;
  readonly facts: HostFacts;
  /** What PACKAGES_CMD has told, when there is one. */
  readonly packages: string | undefined;
  readonly stops: StopSignals;
  readonly log: Logger;
  /** Called whenever the slot has nothing to do for now. */
  readonly rest: () => void;
}

/** Until told to stop, or until no web UI host takes this slot. Throws for internal errors only. */
export async function runSlot(options: RunSlotOptions): Promise<void> {
  const lock = await lockWhenFree(options);
  if (!lock) return;
  try {
    await serve(options, lock);
  } finally {
    await lock.release();
  }
}

async function serve(options: RunSlotOptions, lock: PoolLock): Promise<void> {
  const { settings, facts, packages, stops, log } = options;
  if (packages !== undefined) await placePackages(lock, packages);
  const spool = spoolOf(settings);
  const left = await findLeftJob(settings, spool, { signal: stops.giveUp, log });
  await spool.tidy({ signal: stops.giveUp, log });
  const problem = await spool.findProblem();
  if (problem !== undefined) log.warn(problem);
  const spooled = new SpooledJobs(spool, settings, { signal: stops.stop, log });
  await spooled.load();
  spooled.warnOfUnserved();
  const slot = new Slot({ ...options, lock, spooled, work: workOn });
  const connectionSettings = { ...settings, registration: registrationOf(settings, facts) };
  // The connections outlive a request to stop: the end of the job goes through them.
  const context = { signal: new AbortController().signal, log };
  const connections = settings.hosts.map((host) => {
    const client = new RestClient({ host, settings });
    const connection = maintainConnection(client, slot, connectionSettings, context);
    // Before it registers, which names the job.
    if (left?.state.host === host.name) slot.resume(connection, left.job, left.state);
    return connection;
  });
  try {
    await slot.ended;
    await spooled.stop();
  } finally {
    await Promise.all(connections.map((connection) => connection.quit()));
  }
}

/** Undefined: told to stop before the pool was free. */
async function lockWhenFree({ settings, stops, log }: RunSlotOptions): Promise<PoolLock | undefined> {
  const signal = AbortSignal.any([stops.stop, stops.drain]);
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      return await lockPool(settings.poolDirectory);
    } catch (error) {
      if (!(error instanceof SlotTakenError)) throw error;
      const text = `${error.message}; not registering, trying again every ${settings.connectIntervalMs / 1000} s`;
      if (attempt === 0) log.error(text);
      else log.debug(text);
    }
    await sleep(settings.connectIntervalMs, signal).catch(() => {});
  }
  return undefined;
}
