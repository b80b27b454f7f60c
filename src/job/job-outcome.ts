// What became of a job on its web UI, as far as the slot has to know.

export interface JobOutcome {
  /**
   * "told": the web UI has its end. "refused": it does not want it, the job is not this worker's any more. "spooled":
   * it is away, the end waits for it. "lost": it is away, and nothing could be kept. "dropped": the job was not begun,
   * and nothing had to be told.
   */
  readonly delivery: "told" | "refused" | "spooled" | "lost" | "dropped";
  /** It was done, and the web UI takes it for passed or softfailed: jobs that depend on it may run. */
  readonly isPassed: boolean;
  /** With "refused": what the web UI said; with "lost": what broke. */
  readonly why?: string;
}

export function outcome(delivery: JobOutcome["delivery"], isPassed = false): JobOutcome {
  return { delivery, isPassed };
}
