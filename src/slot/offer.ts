// What a slot answers to offered jobs before it looks at its availability: pure (protocol 2.5, rules for grab_job).
import type { JobPhase } from "./current-job.ts";

/** What the decision depends on. */
export interface OfferFacts {
  /** Ids of the offered jobs. */
  readonly jobIds: readonly string[];
  /** Entry of HOST that offers them. */
  readonly host: string;
  /** The worker takes nothing new. */
  readonly isClosing: boolean;
  /** A job of that host whose end waits in the spool. */
  readonly undelivered: string | undefined;
  /** Why the slot was unavailable when it was looked at last. */
  readonly unavailable: string | undefined;
  /** What the slot has. */
  readonly current:
    | {
        readonly id: string;
        readonly phase: JobPhase;
        readonly pendingIds: readonly string[];
        readonly host: string;
      }
    | undefined;
}

export type OfferAnswer =
  | { readonly kind: "accept" }
  /** The same offer again, of jobs that the slot already has. */
  | { readonly kind: "ignore" }
  | { readonly kind: "reject"; readonly reason: string };

/** Every offer is answered; only one that repeats itself is not (field lessons 2, 3). */
export function answerOffer(facts: OfferFacts): OfferAnswer {
  const { jobIds, host, isClosing, undelivered, unavailable, current } = facts;
  const isOf = (ids: readonly string[]) => current?.host === host && jobIds.every((id) => ids.includes(id));
  const isOver = current?.phase === "ended";
  // Also the job itself: its server has assigned it anew, and its end that is under way would meet that.
  if (current?.phase === "ending" || (isOver && isOf([current.id]))) return reject("currently stopping");
  // The server takes a slot for free as soon as it has the end of its last job: the next one waits until all is tidy.
  const busy = isOver && current.pendingIds.length === 0 ? undefined : current;
  const ids = busy ? [busy.id, ...busy.pendingIds] : [];
  // Before all else: a server that hears no of a job schedules it again, though it is here.
  if (busy && isOf(ids)) return { kind: "ignore" };
  if (isClosing) return reject("currently stopping");
  if (busy && unavailable !== undefined) return reject(unavailable);
  if (busy && busy.host !== host) return reject(`already busy with a job from ${busy.host}`);
  if (busy) return reject(`already busy with job(s) ${ids.join(", ")}`);
  if (undelivered !== undefined) return reject(`results of job ${undelivered} still wait for delivery`);
  return { kind: "accept" };
}

function reject(reason: string): OfferAnswer {
  return { kind: "reject", reason };
}
