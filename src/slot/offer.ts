// What a slot answers to offered jobs before it looks at its availability: pure (protocol 2.5, rules for grab_job).

/** What the decision depends on. */
export interface OfferFacts {
  /** Ids of the offered jobs. */
  readonly jobIds: readonly string[];
  /** Entry of HOST that offers them. */
  readonly host: string;
  /** The worker takes nothing new, or the current job is being ended. */
  readonly isStopping: boolean;
  readonly current: { readonly id: string; readonly host: string } | undefined;
}

export type OfferAnswer =
  | { readonly kind: "accept" }
  /** The same offer again, of the job that the slot already has. */
  | { readonly kind: "ignore" }
  | { readonly kind: "reject"; readonly reason: string };

/** Every offer is answered; only one that repeats itself is not. */
export function answerOffer({ jobIds, host, isStopping, current }: OfferFacts): OfferAnswer {
  if (isStopping) return reject("currently stopping");
  if (current && current.host !== host) return reject(`already busy with a job from ${current.host}`);
  if (current && jobIds.every((id) => id === current.id)) return { kind: "ignore" };
  if (current) return reject(`already busy with job(s) ${current.id}`);
  if (jobIds.length > 1) return reject("this worker does not run directly chained jobs yet");
  return { kind: "accept" };
}

function reject(reason: string): OfferAnswer {
  return { kind: "reject", reason };
}
