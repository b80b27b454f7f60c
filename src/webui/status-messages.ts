// When status messages go out on one open websocket (protocol 2.5). What they say is asked for each time.
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import type { WorkerStatusMessage } from "./messages.ts";

export interface StatusOptions {
  readonly status: () => Promise<WorkerStatusMessage>;
  /** False when it could not be sent. */
  readonly send: (message: WorkerStatusMessage) => boolean;
  readonly minIntervalMs: number;
  readonly maxIntervalMs: number;
  readonly random: () => number;
  readonly log: Logger;
}

/** A server that acknowledges statuses gets none before it did, unless that takes this many of the longest intervals. */
const maxIntervalsWithoutAcknowledgement = 2;

export class StatusMessages {
  private readonly options: StatusOptions;
  /** The server has acknowledged one (2026 does, 2023 never). */
  private isAcknowledging = false;
  private isStopped = false;
  private timer: Timer | undefined;
  private underWay = Promise.resolve();
  private toFollow: Promise<void> | undefined;

  constructor(options: StatusOptions) {
    this.options = options;
  }

  /** Replaces the one that is due. */
  sendNow(): void {
    // One is asked for at a time, and at most one waits: it says whatever is new by then.
    this.toFollow ??= this.underWay.then(() => {
      this.toFollow = undefined;
      this.underWay = this.send();
      return this.underWay;
    });
  }

  /** The interval counts from here, so that a slow server is not flooded. */
  acknowledged(): void {
    this.isAcknowledging = true;
    this.schedule(this.intervalMs());
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  private async send(): Promise<void> {
    const { status, send, log, maxIntervalMs } = this.options;
    clearTimeout(this.timer);
    try {
      const message = await status();
      if (this.isStopped || !send(message)) return;
    } catch (error) {
      log.error(`Internal error at finding out the status: ${errorText(error)}`);
    }
    const latestMs = maxIntervalMs * maxIntervalsWithoutAcknowledgement;
    this.schedule(this.isAcknowledging ? latestMs : this.intervalMs());
  }

  private schedule(ms: number): void {
    clearTimeout(this.timer);
    if (!this.isStopped) this.timer = setTimeout(() => this.sendNow(), ms);
  }

  /** Uniformly random, so that a web UI with many workers hears them one by one. */
  private intervalMs(): number {
    const { minIntervalMs, maxIntervalMs, random } = this.options;
    return minIntervalMs + random() * (maxIntervalMs - minIntervalMs);
  }
}
