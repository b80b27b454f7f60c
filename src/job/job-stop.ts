// How a running job is told to stop: the abort reason of its signal.
import { exitCode, WorkerError } from "../errors.ts";
import type { StopReason } from "./stop-reason.ts";

/** Abort reason of a job's signal. */
export class JobStop extends WorkerError {
  readonly exitCode = exitCode.incomplete;
  constructor(readonly stopReason: StopReason) {
    super(`job stopped: ${stopReason}`);
  }
}
