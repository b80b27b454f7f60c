// What a slot has taken of one web UI: the job of a `grab_job`, or the queue of a `grab_jobs`. What is done with it:
// work-off.ts.
import { JobStop } from "../job/job-stop.ts";
import type { JobState } from "../job/state-file.ts";
import type { Connection } from "../webui/connection.ts";
import type { JobSequence, OfferedJob, StopCommand } from "../webui/messages.ts";
import { CurrentJob } from "./current-job.ts";
import { JobQueue, type Turn } from "./job-queue.ts";

export class Assignment {
  turn: Turn;
  current: CurrentJob;
  /** Several jobs were taken at once. */
  readonly isQueue: boolean;
  /** None of them has had its turn before. */
  isFirst = true;
  private readonly queue: JobQueue;

  /** At least one job. `left`: what an earlier start of the worker has left of it. */
  constructor(
    readonly connection: Connection,
    jobs: readonly OfferedJob[],
    sequence: JobSequence,
    readonly left?: JobState,
  ) {
    this.queue = new JobQueue(jobs, sequence);
    this.isQueue = jobs.length > 1;
    const first = this.queue.next();
    if (!first) throw new Error("an offer without jobs was accepted");
    this.turn = first;
    this.current = new CurrentJob(first.job);
  }

  /** Name of the web UI host. */
  get host(): string {
    return this.connection.host.name;
  }
  get pendingIds(): readonly string[] {
    return this.queue.pendingIds;
  }
  /** The current job and the pending ones. */
  get jobIds(): readonly string[] {
    return [this.current.job.id, ...this.pendingIds];
  }

  /** A second stop of the current job changes nothing: an aborted signal keeps its first reason. */
  stopCurrent(stop: JobStop): void {
    this.current.controller.abort(stop);
  }

  /** A pending job is kept from starting when its turn comes. */
  stop(jobId: string, command: StopCommand): void {
    if (jobId === this.current.job.id) this.stopCurrent(new JobStop(command));
    else this.queue.stop(jobId, command);
  }

  stopAll(command: StopCommand): void {
    for (const id of this.jobIds) this.stop(id, command);
  }

  /** To the next job; false: there is none. */
  advance(hasPassed: boolean): boolean {
    if (hasPassed) this.queue.notePassed(this.current.job.id);
    const next = this.queue.next();
    if (!next) return false;
    this.isFirst = false;
    this.turn = next;
    this.current = new CurrentJob(next.job);
    return true;
  }
}
