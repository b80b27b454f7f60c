// Queues of directly chained jobs as the server has them (protocol 5): who is whose child, and the message that offers
// them. Only values.
import type { FakeJob } from "./fake-web-ui-jobs.ts";

/** A parent, then its children: each a job, or a list that starts with one. */
export type Sequence = readonly (number | Sequence)[];

/** Parents by child. */
export function parentsIn(sequence: Sequence): Map<number, number> {
  const parents = new Map<number, number>();
  const [parent, ...children] = sequence;
  if (typeof parent !== "number") return parents;
  for (const child of children) {
    if (typeof child === "number") parents.set(child, parent);
    else {
      if (typeof child[0] === "number") parents.set(child[0], parent);
      for (const [below, its] of parentsIn(child)) parents.set(below, its);
    }
  }
  return parents;
}

/** In the order of ids, as the server stops them. */
export function descendantsOf(id: number, parents: ReadonlyMap<number, number>): number[] {
  const isBelow = (child: number): boolean => {
    const parent = parents.get(child);
    return parent !== undefined && (parent === id || isBelow(parent));
  };
  return [...parents.keys()].filter(isBelow).sort((a, b) => a - b);
}

/** Replaces each number by what it stands for. */
export function mapSequence(sequence: Sequence, map: (entry: number) => number): Sequence {
  return sequence.map((entry) => (typeof entry === "number" ? map(entry) : mapSequence(entry, map)));
}

/** Ids and keys are texts, in no particular order; the sequence has numbers. */
export function grabJobsMessage(
  jobs: readonly FakeJob[],
  sequence: Sequence,
  workerId: number,
  asSent: (job: FakeJob) => object,
): { readonly type: "grab_jobs"; readonly job_info: Record<string, unknown> } {
  const ids = jobs.map(({ id }) => String(id)).reverse();
  const data = Object.fromEntries(jobs.map((job) => [String(job.id), asSent(job)]));
  return { type: "grab_jobs", job_info: { ids, data, sequence, assigned_worker_id: workerId } };
}
