// The work on what a slot has taken, from top to bottom: whether it may start, then each job in its turn (protocol 2.5
// rules for grab_job, 3.4, 5).
import { errorText } from "../errors.ts";
import { type JobOutcome, outcome } from "../job/job-outcome.ts";
import { JobStop } from "../job/job-stop.ts";
import { nothingFound } from "../job/log-search.ts";
import { formatReason } from "../job/reason.ts";
import type { Ending } from "../job/stop-reason.ts";
import type { Logger } from "../ops/log.ts";
import type { Connection } from "../webui/connection.ts";
import { setDone } from "../webui/jobs-api.ts";
import { accept } from "./accept.ts";
import type { Assignment } from "./assignment.ts";
import type { Availability } from "./availability/availability.ts";
import { freePermit, type StartPermit } from "./availability/start-throttle.ts";
import type { WorkPlace, workOn } from "./current-job.ts";
import type { IdlePowerOff } from "./idle-power-off.ts";
import type { SlotHosts } from "./slot-hosts.ts";

/** What of the slot is needed. */
export interface WorkOffPlace extends WorkPlace {
  readonly availability: Availability;
  readonly power: IdlePowerOff | undefined;
  readonly log: Logger;
  readonly work: typeof workOn;
  readonly hosts: SlotHosts;
  reject(connection: Connection, jobIds: readonly string[], reason: string): void;
}

/** Never throws. Resolves with what became of the last job that had its turn. */
export async function workOff(assignment: Assignment, place: WorkOffPlace): Promise<JobOutcome> {
  await place.power?.busy();
  if (assignment.left) return await begin(assignment, place, logOf(assignment, place));
  const permit = await clearToStart(assignment, place);
  if (!permit) return outcome("dropped");
  for (;;) {
    const end = await takeTurn(assignment, place, permit);
    // It is for the start of the first job of a queue.
    await permit.release();
    const isOver = end.delivery === "spooled" || end.delivery === "lost" || !assignment.advance(end.isPassed);
    if (isOver) return end;
  }
}

/** Undefined: it was rejected, or the worker stops. */
async function clearToStart(
  assignment: Assignment,
  { availability, stops, reject, log }: WorkOffPlace,
): Promise<StartPermit | undefined> {
  const { connection, jobIds, current } = assignment;
  const unavailable = await availability.check();
  // It will not start, so nothing is needed for that.
  if (stopOfWebUi(assignment)) return freePermit;
  if (stops.stop.aborted) {
    log.info(`Stopped before job ${current.job.id} was accepted`);
    return undefined;
  }
  const permit = unavailable ?? (await availability.takePermit());
  if (!("reason" in permit)) return permit;
  connection.send({ type: "worker_status", status: "broken", reason: permit.reason });
  reject(connection, jobIds, permit.reason);
  return undefined;
}

async function takeTurn(
  assignment: Assignment,
  place: WorkOffPlace,
  permit: StartPermit,
): Promise<JobOutcome> {
  const log = logOf(assignment, place);
  const { job } = assignment.current;
  const skipped = assignment.isFirst ? undefined : await whySkipped(assignment, place);
  if (skipped) return await skip(assignment, skipped, place, log);
  const accepted = await accept(assignment, place.hosts, place.settings, log);
  const stop = accepted === "dropped" && stopOfWebUi(assignment);
  if (stop) return await skip(assignment, stop, place, log);
  if (accepted !== "accepted") return outcome(accepted);
  log.info(`Accepted job ${job.id} of ${assignment.host}`);
  return await begin(assignment, place, log, permit);
}

function begin(
  { connection, current, left }: Assignment,
  place: WorkOffPlace,
  log: Logger,
  permit?: StartPermit,
): Promise<JobOutcome> {
  const workerHostname = place.availability.workerHostname ?? place.program.nodeName;
  const hasStarted = () => {
    permit?.started();
    place.hosts.tellAll();
  };
  return place.work(current, { connection, workerHostname, hasStarted, left }, place, log);
}

/** Of a job that is not the first of its queue; the reasons are looked at in this order. */
async function whySkipped({ turn }: Assignment, place: WorkOffPlace): Promise<Ending | undefined> {
  if (place.stops.stop.aborted) return { stopReason: "quit" };
  if (turn.stopped) return { stopReason: turn.stopped };
  const unavailable = await place.availability.check();
  if (unavailable?.isFatal) return { stopReason: "worker broken", brokenBecause: unavailable.reason };
  return turn.hasFailedParent ? { stopReason: "skipped" } : undefined;
}

/**
 * A server that has stopped a job takes it for the slot's current one until it has its end, and would offer nothing more.
 * After "quit" it schedules the job again.
 */
function stopOfWebUi({ current }: Assignment): Ending | undefined {
  const stop: unknown = current.controller.signal.reason;
  return stop instanceof JobStop && stop.stopReason !== "quit" ? { stopReason: stop.stopReason } : undefined;
}

async function skip(
  { current, connection }: Assignment,
  ending: Ending,
  { stops }: WorkOffPlace,
  log: Logger,
): Promise<JobOutcome> {
  const { job } = current;
  const about = { ...ending, hasStarted: false, baseState: { kind: "absent" }, log: nothingFound } as const;
  const reason = formatReason(about);
  const why = ending.stopReason === "skipped" ? "the job that it depends on has not passed" : reason;
  log.info(`Skipping job ${job.id}: ${why ?? ending.stopReason}`);
  try {
    const end = { result: "skipped", reason };
    // For the server the slot is free as soon as it has this.
    current.phase = "ended";
    await setDone(connection.client, job.id, end, { signal: stops.giveUp, log });
  } catch (error) {
    log.warn(`Unable to tell ${connection.host.name} that job ${job.id} is skipped: ${errorText(error)}`);
  }
  return outcome("told");
}

function logOf({ current }: Assignment, { log }: WorkOffPlace): Logger {
  return log.with({ job: current.job.id });
}
