// One worker slot: at most one job at a time, over all its web UI hosts. It says how it is, answers offers, and has every
// job that it accepts brought to its end.
import { errorText } from "../errors.ts";
import { type JobOutcome, outcome } from "../job/job-outcome.ts";
import type { JobState } from "../job/state-file.ts";
import type { Logger } from "../ops/log.ts";
import type { Connection, ConnectionState, Peer } from "../webui/connection.ts";
import {
  type JobSequence,
  type LiveCommand,
  type OfferedJob,
  rejectedMessage,
  type ServerMessage,
  type StopCommand,
  type WorkerStatusMessage,
} from "../webui/messages.ts";
import { Assignment } from "./assignment.ts";
import { Availability } from "./availability/availability.ts";
import { StartThrottle } from "./availability/start-throttle.ts";
import { type CommandedSlot, obey } from "./commands.ts";
import type { WorkPlace } from "./current-job.ts";
import { IdlePowerOff } from "./idle-power-off.ts";
import { answerOffer } from "./offer.ts";
import { SlotHosts } from "./slot-hosts.ts";
import { slotStatus } from "./slot-status.ts";
import type { SpooledJobs } from "./spooled-jobs.ts";
import { type WorkOffPlace, workOff } from "./work-off.ts";

export interface SlotOptions extends Omit<WorkPlace, "spool"> {
  readonly spooled: SpooledJobs;
  readonly work: WorkOffPlace["work"];
  readonly log: Logger;
  /** Called whenever the slot has nothing to do for now. */
  readonly rest: () => void;
}

export class Slot implements Peer, CommandedSlot {
  /** Not yet left, the oldest first: the last one is at work, or waits until those before it have left. */
  private readonly assignments: Assignment[] = [];
  private readonly hosts = new SlotHosts();
  private readonly over = Promise.withResolvers<void>();
  /** Aborted when it is over. */
  private readonly life = new AbortController();
  /** Resolves when the job before has left the slot: only then the next one begins. */
  private vacant: Promise<void> = Promise.resolve();
  /** Nothing is taken any more, whatever the signals say. */
  private isClosed = false;
  private readonly availability: Availability;
  private readonly power: IdlePowerOff | undefined;
  private readonly place: WorkOffPlace;

  constructor(private readonly options: SlotOptions) {
    const { settings, program, stops, log } = options;
    const { stop, drain } = stops;
    const context = { signal: AbortSignal.any([stop, this.life.signal]), log };
    const { throttle, ipmi } = settings;
    this.availability = new Availability(
      {
        ...options,
        throttle: throttle && new StartThrottle(throttle, settings.stateDirectory),
        onRoom: () => this.hosts.tellAll(),
      },
      context,
    );
    this.power = ipmi && new IdlePowerOff(ipmi, program, context);
    this.place = {
      ...options,
      spool: options.spooled.spool,
      availability: this.availability,
      power: this.power,
      reject: (connection, jobIds, reason) => this.reject(connection, jobIds, reason),
      hosts: this.hosts,
    };
    stop.addEventListener("abort", () => this.assignment?.stopCurrent(stop.reason), { once: true });
    for (const signal of [stop, drain])
      signal.addEventListener("abort", () => this.endIfDone(), { once: true });
    this.power?.idle();
    this.endIfDone();
  }

  /** Resolves when the slot has nothing to do any more: told to stop, or no web UI host takes it. */
  get ended(): Promise<void> {
    return this.over.promise;
  }

  private get assignment(): Assignment | undefined {
    return this.assignments.at(-1);
  }

  /** Also of one that leaves: whether its web UI has its end is not known before. */
  jobIds({ host }: Connection): readonly string[] {
    const ofHost = this.assignments.filter((assignment) => assignment.host === host.name);
    return [...this.options.spooled.idsOf(host.name), ...ofHost.flatMap(({ jobIds }) => jobIds)];
  }

  async status({ host }: Connection): Promise<WorkerStatusMessage> {
    const undelivered = this.options.spooled.nextOf(host.name);
    const isIdle = !undelivered && !this.assignment;
    const unavailable = isIdle ? (await this.availability.check())?.reason : undefined;
    // A job may have come meanwhile.
    return slotStatus({ host: host.name, undelivered, assignment: this.assignment, unavailable });
  }

  stateChanged(connection: Connection, state: ConnectionState): void {
    this.hosts.noteState(connection, state);
    if (state === "connected") {
      this.options.spooled.deliver(connection);
      if (!this.assignment) this.options.rest();
    }
    this.endIfDone();
  }

  received(connection: Connection, message: ServerMessage): void {
    obey(message, connection, this, this.options.log);
  }

  offered(connection: Connection, jobs: readonly OfferedJob[], sequence: JobSequence): void {
    const jobIds = jobs.map(({ id }) => id);
    const { assignment } = this;
    const { spooled, log } = this.options;
    const answer = answerOffer({
      jobIds,
      host: connection.host.name,
      isClosing: this.isClosing,
      undelivered: spooled.undeliveredOf(connection.host.name),
      unavailable: this.availability.last?.reason,
      current: assignment && {
        id: assignment.current.job.id,
        phase: assignment.current.phase,
        pendingIds: assignment.pendingIds,
        host: assignment.host,
      },
    });
    if (answer.kind === "reject") this.reject(connection, jobIds, answer.reason);
    else if (answer.kind === "ignore") log.debug(`Offered job ${jobIds} again`);
    else this.take(new Assignment(connection, jobs, sequence));
  }

  /** Goes on with a job that an earlier start of the worker has left in the pool; told to end, leaves it to the next. */
  resume(connection: Connection, job: OfferedJob, left: JobState): void {
    if (this.isClosing) return;
    connection.client.workerId ??= left.workerId;
    this.take(new Assignment(connection, [job], [job.id], left));
  }

  reject(connection: Connection, jobIds: readonly string[], reason: string): void {
    this.options.log.warn(`Rejecting job(s) ${jobIds.join(", ")} of ${connection.host.name}: ${reason}`);
    connection.send(rejectedMessage(jobIds, reason));
  }

  holds(connection: Connection, jobId: string): "current" | "pending" | undefined {
    const { assignment } = this;
    if (assignment?.host !== connection.host.name) return undefined;
    if (assignment.current.job.id === jobId) return "current";
    return assignment.pendingIds.includes(jobId) ? "pending" : undefined;
  }

  stopJob(jobId: string, command: StopCommand): void {
    this.options.log.info(`The web UI stops job ${jobId}: ${command}`);
    this.assignment?.stop(jobId, command);
  }

  follow(command: LiveCommand): void {
    const audience = this.assignment?.current.audience;
    if (command === "livelog_start") audience?.viewerCame();
    else if (command === "livelog_stop") audience?.viewerLeft();
    else audience?.developerCame();
  }

  becomeIncompatible(host: string): void {
    this.options.log.error(`The slot ends: ${host} says that this worker is incompatible`);
    this.assignment?.stopAll("quit");
    this.close();
  }

  /** Has it from here on. */
  private take(assignment: Assignment): void {
    const before = this.vacant;
    this.assignments.push(assignment);
    this.vacant = before.then(async () => {
      const { connection } = assignment;
      const { settings, spooled } = this.options;
      const { delivery } = await workOff(assignment, this.place).catch((error) => this.broken(error));
      const isTaken = delivery !== "dropped" || !assignment.isFirst;
      if (settings.terminateAfterJobsDone && isTaken) this.isClosed = true;
      if (delivery === "spooled") await spooled.load();
      this.leave(assignment);
      if (this.isClosing) return;
      // What is not named in the registration that follows, the server ends or schedules again.
      if (delivery === "lost" || delivery === "spooled") connection.reconnect();
      if (delivery === "spooled") spooled.deliver(connection);
    });
  }

  /** A fault here must not reach the other slots. */
  private broken(error: unknown): JobOutcome {
    this.options.log.error(`Internal error: ${error instanceof Error ? error.stack : errorText(error)}`);
    return outcome("lost");
  }

  private leave(assignment: Assignment): void {
    this.assignments.splice(this.assignments.indexOf(assignment), 1);
    if (!this.assignment) this.power?.idle();
    this.options.rest();
    this.endIfDone();
  }

  /** Takes nothing any more; ends as soon as there is no job. */
  private close(): void {
    this.isClosed = true;
    this.endIfDone();
  }

  private endIfDone(): void {
    if (!this.isClosed && this.hosts.areAllDisabled(this.options.settings.hosts.length)) {
      this.options.log.error("Stopping because registration with all configured web UI hosts failed");
      this.isClosed = true;
    }
    if (this.assignment || !this.isClosing) return;
    this.life.abort();
    this.over.resolve();
  }

  private get isClosing(): boolean {
    const { drain, stop } = this.options.stops;
    return this.isClosed || drain.aborted || stop.aborted;
  }
}
