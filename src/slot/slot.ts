// One worker slot: at most one job at a time, over all its web UI hosts. It says how it is, answers offers, and brings
// every job that it accepts to its end.
import type { AssetCaches } from "../cache/worker/asset-caches.ts";
import type { Settings } from "../config/settings.ts";
import type { Program } from "../context.ts";
import { JobStop } from "../job/job-stop.ts";
import type { Logger } from "../ops/log.ts";
import type { StopSignals } from "../stop-requests.ts";
import type { Connection, ConnectionState, Peer } from "../webui/connection.ts";
import type { OfferedJob } from "../webui/job-offers.ts";
import {
  acceptedMessage,
  rejectedMessage,
  type ServerMessage,
  type StopCommand,
  type WorkerStatusMessage,
} from "../webui/messages.ts";
import { Availability } from "./availability.ts";
import { type CommandedSlot, obey } from "./commands.ts";
import { type CurrentJob, workOn } from "./current-job.ts";
import { answerOffer } from "./offer.ts";
import type { PoolLock } from "./pool-lock.ts";

export interface SlotOptions {
  readonly settings: Settings;
  readonly program: Program;
  readonly caches: AssetCaches;
  readonly lock: PoolLock;
  readonly stops: StopSignals;
  readonly log: Logger;
  /** Called whenever the slot has nothing to do for now. */
  readonly rest: () => void;
}

export class Slot implements Peer, CommandedSlot {
  private current: CurrentJob | undefined;
  /** By name of the host. */
  private readonly connections = new Map<string, { connection: Connection; state: ConnectionState }>();
  private readonly over = Promise.withResolvers<void>();
  /** Resolves when the job before has left the slot: only then the next one begins. */
  private vacant: Promise<void> = Promise.resolve();
  /** Nothing is taken any more, whatever the signals say. */
  private isClosed = false;
  private readonly availability: Availability;
  private readonly log: Logger;

  constructor(private readonly options: SlotOptions) {
    const { stops, log } = options;
    this.log = log;
    const { stop, drain } = stops;
    this.availability = new Availability(options, { signal: stop, log });
    stop.addEventListener("abort", () => this.abortJob(stop.reason), { once: true });
    for (const signal of [stop, drain])
      signal.addEventListener("abort", () => this.endIfDone(), { once: true });
    this.endIfDone();
  }

  /** Resolves when the slot has nothing to do any more: told to stop, or no web UI host takes it. */
  get ended(): Promise<void> {
    return this.over.promise;
  }

  jobIds(): readonly string[] {
    return this.current ? [this.current.job.id] : [];
  }

  async status(): Promise<WorkerStatusMessage> {
    const unavailable = this.current ? undefined : await this.availability.check();
    // A job may have come meanwhile: a slot with a job never says that it is free (field lesson 3).
    const { current } = this;
    if (current)
      return {
        type: "worker_status",
        status: "working",
        current_webui_host: current.connection.host.name,
        job: current.shown,
      };
    if (unavailable !== undefined) return { type: "worker_status", status: "broken", reason: unavailable };
    return { type: "worker_status", status: "free" };
  }

  stateChanged(connection: Connection, state: ConnectionState): void {
    this.connections.set(connection.host.name, { connection, state });
    if (state === "connected" && !this.current) this.options.rest();
    this.endIfDone();
  }

  received(connection: Connection, message: ServerMessage): void {
    obey(message, connection, this, this.log);
  }

  offered(connection: Connection, jobs: readonly OfferedJob[]): void {
    const jobIds = jobs.map(({ id }) => id);
    // The server takes a slot for free as soon as it has the end of a job: the next one waits until all is tidy.
    const current = this.current?.phase === "ended" ? undefined : this.current;
    const answer = answerOffer({
      jobIds,
      host: connection.host.name,
      isStopping: this.isClosing || current?.phase === "ending",
      current: current && { id: current.job.id, host: current.connection.host.name },
    });
    const [job] = jobs;
    if (answer.kind === "reject") this.reject(connection, jobIds, answer.reason);
    else if (answer.kind === "ignore") this.log.debug(`Offered job ${jobIds} again`);
    else if (job !== undefined) this.take(connection, job);
  }

  reject(connection: Connection, jobIds: readonly string[], reason: string): void {
    this.log.warn(`Rejecting job(s) ${jobIds.join(", ")} of ${connection.host.name}: ${reason}`);
    connection.send(rejectedMessage(jobIds, reason));
  }

  has(connection: Connection, jobId: string): boolean {
    return this.current?.job.id === jobId && this.current.connection.host.name === connection.host.name;
  }

  stopJob(stopReason: StopCommand): void {
    this.log.info(`The web UI stops job ${this.current?.job.id}: ${stopReason}`);
    this.abortJob(new JobStop(stopReason));
  }

  becomeIncompatible(host: string): void {
    this.log.error(`The slot ends: ${host} says that this worker is incompatible`);
    this.abortJob(new JobStop("quit"));
    this.close();
  }

  /** Has the job from here on. */
  private take(connection: Connection, job: OfferedJob): void {
    const controller = new AbortController();
    const current: CurrentJob = { job, connection, controller, phase: "accepting", shown: job.received };
    const before = this.vacant;
    this.current = current;
    this.vacant = before.then(async () => {
      const isSettled = await this.acceptAndWork(current);
      this.leave(current);
      // A registration that does not name the job makes the server end it.
      if (!isSettled && !this.isClosing) connection.reconnect();
    });
  }

  /** Never throws. Resolves with whether the server knows what became of the job. */
  private async acceptAndWork(current: CurrentJob): Promise<boolean> {
    const { job, connection, controller } = current;
    const log = this.log.with({ job: job.id });
    const unavailable = await this.availability.check();
    if (controller.signal.aborted) log.info("Stopped before it was accepted");
    else if (unavailable !== undefined) {
      connection.send({ type: "worker_status", status: "broken", reason: unavailable });
      this.reject(connection, [job.id], unavailable);
    } else if (connection.send(acceptedMessage(job.id))) {
      const isDelivered = await this.workOn(current, log);
      if (this.options.settings.terminateAfterJobsDone) this.isClosed = true;
      return isDelivered;
    } else log.warn(`Not accepted: the websocket to ${connection.host.name} is down`);
    return true;
  }

  private leave(current: CurrentJob): void {
    if (this.current === current) this.current = undefined;
    this.options.rest();
    this.endIfDone();
  }

  private workOn(current: CurrentJob, log: Logger): Promise<boolean> {
    const workerHostname = this.availability.workerHostname ?? this.options.program.nodeName;
    const tellAll = () => {
      for (const { connection } of this.connections.values()) connection.sendStatusNow();
    };
    return workOn(current, { ...this.options, workerHostname, tellAll }, log);
  }

  /** A second stop changes nothing: an aborted signal keeps its first reason. */
  private abortJob(stop: JobStop): void {
    this.current?.controller.abort(stop);
  }

  /** Takes nothing any more; ends as soon as there is no job. */
  private close(): void {
    this.isClosed = true;
    this.endIfDone();
  }

  private endIfDone(): void {
    const disabled = [...this.connections.values()].filter(({ state }) => state === "disabled");
    if (!this.isClosed && disabled.length > 0 && disabled.length === this.options.settings.hosts.length) {
      this.log.error("Stopping because registration with all configured web UI hosts failed");
      this.isClosed = true;
    }
    if (!this.current && this.isClosing) this.over.resolve();
  }

  private get isClosing(): boolean {
    const { drain, stop } = this.options.stops;
    return this.isClosed || drain.aborted || stop.aborted;
  }
}
