// The jobs of one offer in the order in which they run, and what each depends on (protocol 5). Pure.
import type { JobId, JobSequence, OfferedJob, StopCommand } from "../webui/messages.ts";

/** A job whose turn has come. */
export interface Turn {
  readonly job: OfferedJob;
  /** What the web UI said about it while it was pending. */
  readonly stopped: StopCommand | undefined;
  /** The job that it depends on has failed or was skipped. */
  readonly hasFailedParent: boolean;
}

interface Place {
  readonly id: JobId;
  readonly parent: JobId | undefined;
}

export class JobQueue {
  private readonly places: Place[];
  private readonly jobs: ReadonlyMap<string, OfferedJob>;
  private readonly stops = new Map<string, StopCommand>();
  private readonly failed = new Set<string>();

  /** All ids of the sequence are among the jobs. */
  constructor(jobs: readonly OfferedJob[], sequence: JobSequence) {
    this.jobs = new Map(jobs.map((job) => [job.id, job]));
    this.places = distinct(placesIn(sequence, undefined));
  }

  /** Of jobs that have not had their turn. */
  get pendingIds(): readonly string[] {
    return this.places.map(({ id }) => id);
  }

  /** Depth first. A job that is never said to have passed has failed for those that depend on it. */
  next(): Turn | undefined {
    const place = this.places.shift();
    const job = place && this.jobs.get(place.id);
    if (!job) return undefined;
    this.failed.add(job.id);
    const hasFailedParent = place.parent !== undefined && this.failed.has(place.parent);
    return { job, stopped: this.stops.get(job.id), hasFailedParent };
  }

  notePassed(jobId: string): void {
    this.failed.delete(jobId);
  }

  /** For a pending job, when its turn comes. The first one counts. */
  stop(jobId: string, command: StopCommand): void {
    if (!this.stops.has(jobId)) this.stops.set(jobId, command);
  }
}

/** The first id of a list is the parent of all else in it. */
function placesIn(sequence: JobSequence, parent: JobId | undefined): Place[] {
  const [head, ...others] = sequence;
  const first = typeof head === "string" ? head : undefined;
  const entries = first === undefined ? sequence : others;
  const below = entries.flatMap((entry) =>
    typeof entry === "string" ? { id: entry, parent: first } : placesIn(entry, first),
  );
  return first === undefined ? below : [{ id: first, parent }, ...below];
}

function distinct(places: readonly Place[]): Place[] {
  const ids = new Set<string>();
  return places.filter(({ id }) => !ids.has(id) && ids.add(id));
}
