// How often a download is tried and how long it waits in between. Pure but for the jitter.
import type { DownloadRequest } from "./download-request.ts";

/** Delays are up to this share longer, so that workers whose web UI comes back do not ask all at once. */
const jitter = 0.2;

export class Tries {
  /** In a row that got no further than any before. */
  failed = 0;

  /** `reachedBytes`: where it starts. */
  constructor(
    readonly limit: number,
    private readonly timing: Pick<DownloadRequest["timing"], "retryDelayMs" | "maxRetryDelayMs">,
    private reachedBytes: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** Wait before the try after one that failed, in milliseconds. Undefined: they are used up. */
  nextDelayMs(reachedBytes: number, retryAfterMs = 0): number | undefined {
    this.failed = reachedBytes > this.reachedBytes ? 0 : this.failed + 1;
    this.reachedBytes = Math.max(reachedBytes, this.reachedBytes);
    if (this.failed >= this.limit) return undefined;
    const { retryDelayMs, maxRetryDelayMs } = this.timing;
    const backOffMs = retryDelayMs * 2 ** Math.max(0, this.failed - 1);
    return Math.min(maxRetryDelayMs, Math.max(backOffMs, retryAfterMs)) * (1 + jitter * this.random());
  }
}
