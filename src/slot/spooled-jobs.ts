// The jobs of a slot whose end waits in the spool: delivered one after the other to each web UI host, in the order in which
// they came, until it has them or refuses them for good. Other hosts are not held up.
import { join } from "node:path";
import type { Settings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { Spool, type SpoolEntry } from "../job/spool/spool.ts";
import { deliverEntry, putAside } from "../job/spool-end.ts";
import { sleep } from "../sleep.ts";
import type { Connection } from "../webui/connection.ts";

export function spoolOf({ stateDirectory, instance, own }: Settings): Spool {
  return new Spool(join(stateDirectory, "spool", String(instance)), own.spool);
}

/** Of a host: what waits for it, one entry after the other. */
interface Line {
  /** Cuts the wait after the try under way short, or the wait itself. */
  retryNow: AbortController;
  readonly over: Promise<void>;
}

export class SpooledJobs {
  private entries: readonly SpoolEntry[] = [];
  private loading: Promise<void> = Promise.resolve();
  private readonly lines = new Map<string, Line>();
  private readonly stopping = new AbortController();
  /** Directories of entries whose `set_done` is on its way: for the server the slot is free as soon as it has that. */
  private readonly beingTold = new Set<string>();
  private readonly context: Context;

  constructor(
    readonly spool: Spool,
    private readonly settings: Settings,
    context: Context,
  ) {
    this.context = { ...context, signal: AbortSignal.any([context.signal, this.stopping.signal]) };
  }

  /** Looks what waits, and how far its delivery has come: one look after the other, so that the latest counts. */
  load(): Promise<void> {
    this.loading = this.loading.then(async () => {
      this.entries = await this.spool.waiting(this.context);
    });
    return this.loading;
  }

  /** Says which of them nobody takes, for whoever renames or removes a host. */
  warnOfUnserved(): void {
    const served = new Set(this.settings.hosts.map(({ name }) => name));
    for (const { directory, state } of this.entries) {
      if (served.has(state.host)) continue;
      const { host, job } = state;
      this.context.log.warn(
        `The end of job ${job.id} waits in ${directory} for ${host}, which is no web UI host of this slot any more`,
      );
    }
  }

  /** Ids of the jobs of a host that wait, the oldest first. */
  idsOf(host: string): readonly string[] {
    return this.of(host).map(({ state }) => String(state.job.id));
  }

  /** A job of a host that keeps it from getting another one done: not one whose end the host is just being told. */
  undeliveredOf(host: string): string | undefined {
    const entry = this.of(host).find(({ directory }) => !this.beingTold.has(directory));
    return entry && String(entry.state.job.id);
  }

  /** The job whose end is delivered next, as it was received. */
  nextOf(host: string): Readonly<Record<string, unknown>> | undefined {
    return this.of(host)[0]?.state.job;
  }

  /** Delivers what waits for that host, at once when it already tries. */
  deliver(connection: Connection): void {
    const { name } = connection.host;
    const line = this.lines.get(name);
    if (line) line.retryNow.abort();
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
    const line = { retryNow: new AbortController(), over };
    this.lines.set(name, line);
    void this.work(connection, line)
      .catch((error) => {
        if (!this.context.signal.aborted) this.context.log.error(`The spool stops: ${errorText(error)}`);
      })
      .finally(() => {
        this.lines.delete(name);
        resolve();
      });
  }

  private async work(connection: Connection, line: Line): Promise<void> {
    const { name } = connection.host;
    const { retryDelayMs, maxRetryDelayMs } = this.settings.own.spool;
    let delayMs = retryDelayMs;
    for (let [entry] = this.of(name); entry; [entry] = this.of(name)) {
      line.retryNow = new AbortController();
      const isOffList = await this.deliverOne(entry, connection);
      await this.load();
      if (isOffList) {
        delayMs = retryDelayMs;
        continue;
      }
      await this.wait(line, delayMs * (1 + retryJitter * Math.random()));
      delayMs = Math.min(2 * delayMs, maxRetryDelayMs);
    }
    // For it the slot is free now.
    connection.sendStatusNow();
  }

  private async wait({ retryNow }: Line, delayMs: number): Promise<void> {
    await sleep(delayMs, AbortSignal.any([this.context.signal, retryNow.signal])).catch(() => {});
    this.context.signal.throwIfAborted();
  }

  /** Whether it is off the list: not while the web UI is away, or the spool's disk cannot be written to. */
  private async deliverOne(entry: SpoolEntry, connection: Connection): Promise<boolean> {
    const { state } = entry;
    const log = this.context.log.with({ job: String(state.job.id) });
    const context = { ...this.context, log };
    connection.client.workerId ??= state.workerId;
    const isEnded = () => void this.beingTold.add(entry.directory);
    const delivered = await deliverEntry(
      entry,
      { settings: this.settings, webUi: connection.client, isEnded },
      context,
    );
    if (delivered === "undelivered") {
      this.beingTold.delete(entry.directory);
      return false;
    }
    try {
      if (delivered.delivery === "told") {
        log.info(`Delivered from the spool to ${state.host}`);
        await this.spool.remove(entry, context);
      } else await putAside(this.spool, entry, delivered.why ?? delivered.delivery, context);
      return true;
    } catch (error) {
      log.error(errorText(error));
      return false;
    }
  }
}

/** Waits are up to this share longer, so that the slots of a host do not all call at once. */
const retryJitter = 0.2;
