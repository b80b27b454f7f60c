// What may happen to a request on its way, and the dice that decide it: the same for a seed, whatever else goes on.

export type Fault =
  | "none"
  /** It arrives later. */
  | "late"
  /** The connection ends before anything was forwarded. */
  | "cut before"
  /** The server has acted, but the connection ends before its answer. */
  | "cut after"
  /** Reset in the middle of the request, of which the server has got a part. */
  | "reset in request"
  /** The server has acted; reset in the middle of its answer. */
  | "reset in answer"
  /** Not forwarded: an answer of the proxy's own. */
  | "refused"
  /** The answer ends before its announced length. */
  | "truncated"
  /** The answer is only a part of the server's, and announced as that. */
  | "shortened"
  /** The server gets it twice, the second answer is what comes back. */
  | "twice";

/** Shares of all requests; the others pass. */
export type FaultShares = Readonly<Partial<Record<Exclude<Fault, "none">, number>>>;

/** Numbers from 0 up to 1 (mulberry32). */
export type Dice = () => number;

export function dice(seed: number): Dice {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Dice for each kind of request: the third registration of a run has the same fate each time, however many other
 * requests come in between.
 */
export class DiceByKind {
  private readonly all = new Map<string, Dice>();

  constructor(private readonly seed: number) {}

  for(kind: string): Dice {
    const known = this.all.get(kind) ?? dice(this.seed ^ Bun.hash.crc32(kind));
    this.all.set(kind, known);
    return known;
  }
}

export function faultOf(roll: Dice, shares: FaultShares): Fault {
  let left = roll();
  for (const [fault, share] of Object.entries(shares)) {
    if (left < share) return fault as Fault;
    left -= share;
  }
  return "none";
}

/** "POST /api/v1/jobs/N/set_done": without ids and query. */
export function kindOf(method: string, target: string): string {
  return `${method} ${target.replace(/\?.*/s, "").replace(/\d\d+|(?<=\/)\d+/g, "N")}`;
}
