// How often which lag occurred, in memory that does not grow: buckets whose limits are 10 % apart. Pure.

const firstLimitMs = 0.1;
const step = 1.1;
/** The last one is for all above 130 s. */
const bucketCount = 150;

export interface LagSummary {
  /** Half of the samples were not later than this, in milliseconds as all here, up to 10 % too much. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Exact. */
  readonly maxMs: number;
  readonly samples: number;
}

export class LagHistogram {
  private readonly counts = new Uint32Array(bucketCount);
  private samples = 0;
  private maxMs = 0;

  add(lagMs: number): void {
    const bucket = bucketOf(lagMs);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.samples++;
    this.maxMs = Math.max(this.maxMs, lagMs);
  }

  /** Undefined as long as there is no sample. */
  summary(): LagSummary | undefined {
    if (this.samples === 0) return undefined;
    const { samples, maxMs } = this;
    return { p50Ms: this.percentileMs(0.5), p99Ms: this.percentileMs(0.99), maxMs, samples };
  }

  private percentileMs(share: number): number {
    const wanted = Math.ceil(this.samples * share);
    let seen = 0;
    const bucket = this.counts.findIndex((count) => {
      seen += count;
      return seen >= wanted;
    });
    return bucket === bucketCount - 1 ? this.maxMs : Math.min(this.maxMs, firstLimitMs * step ** bucket);
  }
}

/** For a log line. */
export function lagText(summary: LagSummary | undefined): string {
  if (summary === undefined) return "Event loop: not looked at";
  const { p50Ms, p99Ms, maxMs, samples } = summary;
  const [p50, p99, max] = [p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(ms < 10 ? 1 : 0));
  return `Event loop: late by ${p50} ms (median), ${p99} ms (p99), ${max} ms (max) in ${samples} samples`;
}

function bucketOf(lagMs: number): number {
  if (lagMs <= firstLimitMs) return 0;
  return Math.min(bucketCount - 1, Math.ceil(Math.log(lagMs / firstLimitMs) / Math.log(step)));
}
