// The spool's folder cannot be used.
import { errorText, exitCode, WorkerError } from "../../errors.ts";
import { errorCode } from "./folder-content.ts";

/** Nothing of a job is lost: what has been begun is gone on with when it is tried again. */
export class SpoolError extends WorkerError {
  readonly exitCode = exitCode.failed;

  /** `what` failed, e.g. "Cannot keep the results of job 12". */
  constructor(what: string, directory: string, cause: unknown) {
    const isFull = ["ENOSPC", "EDQUOT"].includes(errorCode(cause) ?? "");
    const advice = isFull
      ? "free some space there; the results of finished jobs need it until their web UI is back"
      : "it has to be a folder that the worker's user can write to";
    super(`${what} in ${directory}: ${errorText(cause)} (${advice})`, { cause });
  }
}
