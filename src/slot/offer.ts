// What a slot answers to offered jobs before it looks at its availability: pure (protocol 2.5, rules for grab_job).

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
  /** What the slot has: the current job and pending ones. */
  readonly current:
    | { readonly ids: readonly string[]; readonly host: string; readonly isEnding: boolean }
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
  // Also a job that is being ended: its server has scheduled it anew.
  if (current?.isEnding) return reject("currently stopping");
  // Before all else: a server that hears no of a job schedules it again, though it is here.
  const isKnown = current?.host === host && jobIds.every((id) => current.ids.includes(id));
  if (isKnown) return { kind: "ignore" };
  if (isClosing) return reject("currently stopping");
  if (current && unavailable !== undefined) return reject(unavailable);
  if (current && current.host !== host) return reject(`already busy with a job from ${current.host}`);
  if (current) return reject(`already busy with job(s) ${current.ids.join(", ")}`);
  if (undelivered !== undefined) return reject(`results of job ${undelivered} still wait for delivery`);
  return { kind: "accept" };
}

function reject(reason: string): OfferAnswer {
  return { kind: "reject", reason };
}
