// What ends the worker (protocol 3.5), as signals that everything waits for: HUP finishes off, the first TERM or INT
// stops, the second kills the processes of the jobs, the third ends the worker itself; USR2 leaves the jobs to the next start.

import { type ExitCode, exitCode } from "./errors.ts";
import { JobStop } from "./job/job-stop.ts";
import type { Logger } from "./ops/log.ts";

export interface StopSignals {
  /** Nothing new is taken, the current job goes on. */
  readonly drain: AbortSignal;
  /** The current job ends; the reason is a `JobStop`. */
  readonly stop: AbortSignal;
  /** The processes of the current job end at once. */
  readonly kill: AbortSignal;
  /** Nothing more is delivered but how the current job ended. */
  readonly hurry: AbortSignal;
  /** Nothing more is delivered at all: the time to stop is over. */
  readonly giveUp: AbortSignal;
}

/** Share of the time to stop that results and files have; the rest is kept for telling how the job ended. */
const hurryShare = 0.8;
/** After the time to stop, whatever still hangs is left: below systemd's 90 s together with the default time. */
const lastResortMs = 20_000;

export class StopRequests {
  private readonly controllers = {
    drain: new AbortController(),
    stop: new AbortController(),
    kill: new AbortController(),
    hurry: new AbortController(),
    giveUp: new AbortController(),
  };
  readonly signals: StopSignals = {
    drain: this.controllers.drain.signal,
    stop: this.controllers.stop.signal,
    kill: this.controllers.kill.signal,
    hurry: this.controllers.hurry.signal,
    giveUp: this.controllers.giveUp.signal,
  };

  /** `totalMs`: from the first request to stop until nothing more is delivered. */
  constructor(
    private readonly totalMs: number,
    private readonly log: Logger,
    private readonly exit: (code: ExitCode) => void,
  ) {}

  /** HUP, also several times; without effect after TERM. */
  drain(): void {
    if (this.signals.drain.aborted || this.signals.stop.aborted) return;
    this.log.info("Finishing off: no new jobs are taken, the current ones are completed");
    this.controllers.drain.abort();
  }

  /** An internal error that leaves the process unsound. Further ones change nothing: they often have one cause. */
  fault(): void {
    if (!this.signals.stop.aborted) this.start("exception");
  }

  /** TERM or INT. */
  stop(): void {
    const { stop, kill } = this.controllers;
    if (kill.signal.aborted) this.exit(exitCode.failed);
    else if (stop.signal.aborted) {
      this.log.warn("Told to stop again: killing the processes of all jobs");
      kill.abort();
    } else this.start("quit");
  }

  private start(stopReason: "quit" | "exception"): void {
    const { stop, hurry, giveUp } = this.controllers;
    this.log.info("Stopping: current jobs are ended and reported");
    stop.abort(new JobStop(stopReason));
    const over = new Error("the time to stop is over");
    setTimeout(() => hurry.abort(over), this.totalMs * hurryShare);
    setTimeout(() => giveUp.abort(over), this.totalMs);
    setTimeout(() => this.exit(exitCode.failed), this.totalMs + lastResortMs);
  }

  /** USR2: running jobs go on without this worker, for the next one to take over (see resume-job.ts). */
  private handOver(): void {
    this.log.info("Handing over: jobs that run go on, the next start of the worker takes them over");
    this.exit(exitCode.done);
  }

  /** From now on the operating system's signals are requests. */
  listen(): void {
    process.on("SIGHUP", () => this.drain());
    process.on("SIGUSR2", () => this.handOver());
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => this.stop());
  }
}
