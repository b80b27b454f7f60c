// The jobs of a slot whose end waits in the spool: delivered one after the other to each web UI host, in the order in which
// they came, until it has them or refuses them for good. Other hosts are not held up.
import { join } from "node:path";
import type { Settings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { Spool, type SpoolEntry } from "../job/spool/spool.ts";
import { deliverEntry } from "../job/spool-end.ts";
import { sleep } from "../sleep.ts";
import type { Connection } from "../webui/connection.ts";

export function spoolOf({ stateDirectory, instance, own }: Settings): Spool {
  return new Spool(join(stateDirectory, "spool", String(instance)), own.spool);
}

interface Line {
  readonly connection: Connection;
  /** Cuts the wait between two tries short. */
  hurry: AbortController;
  readonly over: Promise<void>;
}

export class SpooledJobs {
  private entries: readonly SpoolEntry[] = [];
  private readonly lines = new Map<string, Line>();
  private readonly stopping = new AbortController();
  private readonly context: Context;

  constructor(
    readonly spool: Spool,
    private readonly settings: Settings,
    context: Context,
  ) {
    this.context = { ...context, signal: AbortSignal.any([context.signal, this.stopping.signal]) };
  }

  /** Looks what waits, also what came since the last look. */
  async load(): Promise<void> {
    this.entries = await this.spool.waiting(this.context);
  }

  /** Ids of the jobs of a host that wait, the oldest first. */
  idsOf(host: string): readonly string[] {
    return this.of(host).map(({ state }) => String(state.job.id));
  }

  /** The job whose end is delivered next, as it was received. */
  nextOf(host: string): Readonly<Record<string, unknown>> | undefined {
    return this.of(host)[0]?.state.job;
  }

  /** Delivers what waits for that host, at once when it already tries. */
  deliver(connection: Connection): void {
    const { name } = connection.host;
    const line = this.lines.get(name);
    if (line) line.hurry.abort();
    else if (this.of(name).length > 0) this.start(connection);
  }

  /** What has not been delivered stays for the next start. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all([...this.lines.values()].map(({ over }) => over));
  }

  private of(host: string): SpoolEntry[] {
    return this.entries.filter(({ state }) => state.host === host);
  }

  private start(connection: Connection): void {
    const { name } = connection.host;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    this.lines.set(name, { connection, hurry: new AbortController(), over });
    void this.work(connection)
      .catch((error) => {
        if (!this.context.signal.aborted) this.context.log.error(`The spool stops: ${errorText(error)}`);
      })
      .finally(() => {
        this.lines.delete(name);
        resolve();
      });
  }

  private async work(connection: Connection): Promise<void> {
    const { name } = connection.host;
    const { retryDelayMs, maxRetryDelayMs } = this.settings.own.spool;
    let delayMs = retryDelayMs;
    for (let [entry] = this.of(name); entry; [entry] = this.of(name)) {
      if (await this.deliverOne(entry, connection)) {
        delayMs = retryDelayMs;
        continue;
      }
      await this.wait(name, delayMs * (1 + retryJitter * Math.random()));
      delayMs = Math.min(2 * delayMs, maxRetryDelayMs);
    }
    // For it the slot is free now.
    connection.sendStatusNow();
  }

  private async wait(host: string, delayMs: number): Promise<void> {
    const line = this.lines.get(host);
    const hurry = new AbortController();
    if (line) line.hurry = hurry;
    await sleep(delayMs, AbortSignal.any([this.context.signal, hurry.signal])).catch(() => {});
    this.context.signal.throwIfAborted();
  }

  /** Whether it is off the list. */
  private async deliverOne(entry: SpoolEntry, connection: Connection): Promise<boolean> {
    const { state } = entry;
    const log = this.context.log.with({ job: String(state.job.id) });
    const context = { ...this.context, log };
    connection.client.workerId ??= state.workerId;
    const delivered = await deliverEntry(entry, connection.client, this.settings, context);
    if (delivered === "undelivered") return false;
    if (delivered.delivery === "told") {
      log.info(`Delivered from the spool to ${state.host}`);
      await this.spool.remove(entry, context);
    } else {
      const kept = await this.spool.refuse(entry, delivered.delivery, context);
      log.error(kept === undefined ? "Its results are not kept" : `Its results are kept in ${kept}`);
    }
    this.entries = this.entries.filter((other) => other !== entry);
    return true;
  }
}

/** Waits are up to this share longer, so that the slots of a host do not all call at once. */
const retryJitter = 0.2;
