// Registers a slot once, without taking jobs: what the subcommand `register` does.
import type { Settings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { SlotTakenError, UsageError } from "../errors.ts";
import { type JobState, readJobState } from "../job/state-file.ts";
import { register } from "../webui/registration.ts";
import { RestClient } from "../webui/rest-client.ts";
import { findHostFacts, registrationOf } from "./host-facts.ts";
import { lockPool, supervisorHolds } from "./pool-lock.ts";
import { spoolOf } from "./spooled-jobs.ts";

export interface RegisteredWorker {
  /** Entry of HOST. */
  readonly host: string;
  readonly url: string;
  readonly workerId: number | undefined;
}

/**
 * Registers at every web UI host, one after the other. The pool is locked meanwhile: registering a slot that runs on
 * this host would end its job. Throws `SlotTakenError`, `RegistrationError`, `UsageError` without any host.
 */
export async function registerSlot(
  settings: Settings,
  program: Program,
  context: Context,
): Promise<RegisteredWorker[]> {
  const ignored = settings.ignoredHosts.map(({ reason }) => reason).join("\n");
  if (settings.hosts.length === 0) throw new UsageError(`no web UI host to register at\n${ignored}`);
  const lock = await lockPool(settings.poolDirectory);
  try {
    if (await supervisorHolds(settings.poolDirectory))
      throw new SlotTakenError(settings.poolDirectory, undefined);
    const facts = await findHostFacts(settings, program, context);
    const unfinished = await findUnfinishedJobs(settings, context);
    const registered: RegisteredWorker[] = [];
    for (const host of settings.hosts) {
      const client = new RestClient({ host, settings });
      await client.adoptRedirect(context);
      const jobIds = unfinished.flatMap((state) => (state.host === host.name ? String(state.job.id) : []));
      await register(client, { ...registrationOf(settings, facts), jobIds }, context);
      registered.push({ host: host.name, url: client.url, workerId: client.workerId });
    }
    return registered;
  } finally {
    await lock.release();
  }
}

/** Jobs that an earlier worker has left to be gone on with, or whose end waits for delivery: their servers must not end them. */
async function findUnfinishedJobs(settings: Settings, context: Context): Promise<JobState[]> {
  const left = await readJobState(settings.poolDirectory);
  const waiting = (await spoolOf(settings).waiting(context)).map(({ state }) => state);
  return left && left.phase !== "setup" ? [...waiting, left] : waiting;
}
