// The life of a slot: its pool is locked before anything is registered, its connections live until it has ended.
import type { AssetCaches } from "../cache/worker/asset-caches.ts";
import type { Settings } from "../config/settings.ts";
import type { Program } from "../context.ts";
import { SlotTakenError } from "../errors.ts";
import { endLeftOverJob } from "../isotovideo/left-over-job.ts";
import { readJobState, removeJobState } from "../job/state-file.ts";
import type { Logger } from "../ops/log.ts";
import { sleep } from "../sleep.ts";
import type { StopSignals } from "../stop-requests.ts";
import { maintainConnection } from "../webui/connection.ts";
import { RestClient } from "../webui/rest-client.ts";
import { type HostFacts, registrationOf } from "./host-facts.ts";
import { lockPool, type PoolLock } from "./pool-lock.ts";
import { Slot } from "./slot.ts";

export interface RunSlotOptions {
  readonly settings: Settings;
  readonly program: Program;
  readonly caches: AssetCaches;
  readonly facts: HostFacts;
  readonly stops: StopSignals;
  readonly log: Logger;
  /** Called whenever the slot has nothing to do for now. */
  readonly rest: () => void;
}

/** Until told to stop, or until no web UI host takes this slot. Throws for internal errors only. */
export async function runSlot(options: RunSlotOptions): Promise<void> {
  const { settings, facts, log } = options;
  const lock = await lockWhenFree(options);
  if (!lock) return;
  try {
    await endJobOfEarlierWorker(options);
    const slot = new Slot({ ...options, lock });
    const connectionSettings = { ...settings, registration: registrationOf(settings, facts) };
    // The connections outlive a request to stop: the end of the job goes through them.
    const context = { signal: new AbortController().signal, log };
    const connections = settings.hosts.map((host) =>
      maintainConnection(new RestClient({ host, settings }), slot, connectionSettings, context),
    );
    await slot.ended;
    await Promise.all(connections.map((connection) => connection.quit()));
  } finally {
    await lock.release();
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

/** Its server ends and clones the job as soon as this slot registers without naming it. */
async function endJobOfEarlierWorker({ settings, stops, log }: RunSlotOptions): Promise<void> {
  const { poolDirectory } = settings;
  const state = await readJobState(poolDirectory);
  const ended = await endLeftOverJob(poolDirectory, { signal: stops.giveUp, log });
  if (state && ended.length > 0) log.warn(`They belonged to job ${state.job.id} of ${state.host}`);
  await removeJobState(poolDirectory);
}
