// One worker slot: at most one job at a time, over all its web UI hosts. It answers their messages, says how it is, and
// brings every job that it accepted to its end.
import type { Settings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { errorText } from "../errors.ts";
import type { Job } from "../job/job.ts";
import { JobStop } from "../job/job-stop.ts";
import { runJob } from "../job/run-job.ts";
import type { Logger } from "../ops/log.ts";
import type { StopSignals } from "../stop-requests.ts";
import type { Connection, ConnectionState, Peer } from "../webui/connection.ts";
import type { OfferedJob } from "../webui/job-offers.ts";
import { setDone } from "../webui/jobs-api.ts";
import {
  acceptedMessage,
  rejectedMessage,
  type ServerMessage,
  type StopCommand,
  type WorkerStatusMessage,
} from "../webui/messages.ts";
import { findUnavailability } from "./availability.ts";
import { answerOffer } from "./offer.ts";
import { emptyPoolDirectory } from "./pool-directory.ts";
import type { PoolLock } from "./pool-lock.ts";
import { findWorkerAddress } from "./worker-address.ts";

export interface SlotOptions {
  readonly settings: Settings;
  readonly program: Program;
  readonly lock: PoolLock;
  readonly stops: StopSignals;
  readonly log: Logger;
  /** Called whenever the slot has nothing to do for now. */
  readonly rest: () => void;
}

/** The job that the slot has, from the offer on. */
interface CurrentJob {
  readonly job: Job;
  readonly connection: Connection;
  /** Aborted with a `JobStop`. */
  readonly controller: AbortController;
  phase: "accepting" | "working" | "ending";
  /** As it goes into statuses: with the address of the command server, once there is one. */
  shown: Readonly<Record<string, unknown>>;
}

export class Slot implements Peer {
  private current: CurrentJob | undefined;
  private unavailable: string | undefined;
  private workerHostname: string | undefined;
  private readonly connections = new Map<string, { connection: Connection; state: ConnectionState }>();
  private readonly over = Promise.withResolvers<void>();
  /** Nothing is taken any more, whatever the signals say. */
  private isClosed = false;
  private readonly options: SlotOptions;
  private readonly log: Logger;

  constructor(options: SlotOptions) {
    this.options = options;
    this.log = options.log;
    const { stop, drain } = options.stops;
    stop.addEventListener("abort", () => this.stopCurrent(stop.reason), { once: true });
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
    if (!this.current) await this.checkAvailability();
    // A job may have come meanwhile: a slot with a job never says that it is free.
    const { current, unavailable } = this;
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
    const host = connection.host.name;
    switch (message.kind) {
      case "grab_job":
        this.offered(connection, [message.job]);
        break;
      case "grab_jobs":
        this.offered(connection, message.jobs);
        break;
      case "invalid-job":
        this.reject(connection, message.jobIds, message.why);
        break;
      case "oversized-job": {
        const limit = this.options.settings.own.limits.maxJobMessageBytes;
        this.reject(
          connection,
          message.jobIds,
          `the job has ${message.sizeBytes} bytes, at most ${limit} are taken`,
        );
        break;
      }
      case "stop":
        this.stopCommand(connection, message.jobId, message.type);
        break;
      case "live":
        this.log.debug(`Ignoring ${message.type} for job ${message.jobId}: no live view yet`);
        break;
      case "incompatible":
        this.log.error(`${host} says that this worker is incompatible`);
        this.stopCurrent(new JobStop("quit"));
        this.close("incompatible with its web UI");
        break;
      case "unknown":
        this.log.warn(`Ignoring message of unknown type "${message.type}" from ${host}`);
        break;
      case "invalid":
        this.log.warn(`Ignoring invalid message from ${host}: ${message.why}`);
        break;
      case "info":
      case "answer":
        break;
    }
  }

  private offered(connection: Connection, jobs: readonly OfferedJob[]): void {
    const jobIds = jobs.map(({ id }) => id);
    const { current } = this;
    const answer = answerOffer({
      jobIds,
      host: connection.host.name,
      isStopping: this.isClosing || current?.phase === "ending",
      current: current && { id: current.job.id, host: current.connection.host.name },
    });
    const [job] = jobs;
    if (answer.kind === "reject") this.reject(connection, jobIds, answer.reason);
    else if (answer.kind === "ignore") this.log.debug(`Offered job ${jobIds} again`);
    else if (job !== undefined) void this.take(connection, job);
  }

  private reject(connection: Connection, jobIds: readonly string[], reason: string): void {
    this.log.warn(`Rejecting job(s) ${jobIds.join(", ")} of ${connection.host.name}: ${reason}`);
    connection.send(rejectedMessage(jobIds, reason));
  }

  /** Has the job from here on; never throws. */
  private async take(connection: Connection, job: OfferedJob): Promise<void> {
    const controller = new AbortController();
    const current: CurrentJob = { job, connection, controller, phase: "accepting", shown: job.received };
    this.current = current;
    const log = this.log.with({ job: job.id });
    try {
      await this.checkAvailability();
      if (controller.signal.aborted) log.info("Stopped before it was accepted");
      else if (this.unavailable !== undefined) this.refuse(current, this.unavailable);
      else if (connection.send(acceptedMessage(job.id))) await this.work(current, log);
      else log.warn(`Not accepted: the websocket to ${connection.host.name} is down`);
    } catch (error) {
      log.error(`Internal error: ${error instanceof Error ? error.stack : errorText(error)}`);
      await this.reportBroken(current, { log, signal: this.options.stops.giveUp });
    } finally {
      this.current = undefined;
      this.jobEnded();
    }
  }

  private refuse({ connection, job }: CurrentJob, reason: string): void {
    connection.send({ type: "worker_status", status: "broken", reason });
    this.reject(connection, [job.id], reason);
  }

  private async work(current: CurrentJob, log: Logger): Promise<void> {
    const { settings, program, lock, stops } = this.options;
    const { job, connection, controller } = current;
    log.info(`Accepted job ${job.id} of ${connection.host.name}`);
    connection.client.errors.forget();
    current.phase = "working";
    if (settings.cleansPool) await emptyPoolDirectory(lock, settings.instance);
    const input = {
      job,
      webUi: connection.client,
      settings,
      program,
      workerHostname: this.workerHostname ?? program.nodeName,
      hasStarted: (shown: CurrentJob["shown"]) => {
        current.shown = shown;
        for (const each of this.connections.values()) each.connection.sendStatusNow();
      },
      isEnding: () => {
        current.phase = "ending";
      },
      kill: stops.kill,
      giveUp: stops.giveUp,
    };
    await runJob(input, { signal: controller.signal, log });
    if (settings.cleansPool && !this.isClosing) await emptyPoolDirectory(lock, settings.instance);
  }

  /** A job that was accepted gets its end on the web UI, even when everything else failed. */
  private async reportBroken({ connection, job }: CurrentJob, context: Context): Promise<void> {
    try {
      await setDone(connection.client, job.id, { result: "incomplete", reason: "exception" }, context);
    } catch (error) {
      context.log.error(`Unable to report the end of the job: ${errorText(error)}`);
    }
  }

  private stopCommand(connection: Connection, jobId: string, stopReason: StopCommand): void {
    const host = connection.host.name;
    const { current } = this;
    if (!current || current.job.id !== jobId || current.connection.host.name !== host) {
      this.log.warn(`Ignoring ${stopReason} of ${host} for job ${jobId}, which does not run here for it`);
      return;
    }
    this.log.info(`${host} stops job ${jobId}: ${stopReason}`);
    this.stopCurrent(new JobStop(stopReason));
  }

  private jobEnded(): void {
    this.options.rest();
    if (this.options.settings.terminateAfterJobsDone) this.close("TERMINATE_AFTER_JOBS_DONE");
    this.endIfDone();
  }

  /** A second stop changes nothing: an aborted signal keeps its first reason. */
  private stopCurrent(stop: JobStop): void {
    this.current?.controller.abort(stop);
  }

  /** Takes nothing any more; ends as soon as there is no job. */
  private close(why: string): void {
    this.log.info(`The slot ends: ${why}`);
    this.isClosed = true;
    this.endIfDone();
  }

  private endIfDone(): void {
    const states = [...this.connections.values()];
    const isRefused = states.length > 0 && states.every(({ state }) => state === "disabled");
    if (isRefused) this.log.error("Stopping because registration with all configured web UI hosts failed");
    if (!this.current && (isRefused || this.isClosing)) this.over.resolve();
  }

  private get isClosing(): boolean {
    const { drain, stop } = this.options.stops;
    return this.isClosed || drain.aborted || stop.aborted;
  }

  private async checkAvailability(): Promise<void> {
    const { settings, program } = this.options;
    this.workerHostname = await findWorkerAddress(settings, program.nodeName);
    const unavailable = await findUnavailability(settings, this.workerHostname);
    if (unavailable !== undefined && unavailable !== this.unavailable) this.log.warn(unavailable);
    if (unavailable === undefined && this.unavailable !== undefined)
      this.log.info("The slot can take jobs again");
    this.unavailable = unavailable;
  }
}
