// The reason text of a job (protocol 8.3). Servers match it to restart jobs by themselves: every form is an interface.
import type { BaseState } from "../results/state-files.ts";
import type { LogFindings } from "./log-search.ts";
import { type Ending, resultToSend } from "./stop-reason.ts";

/** Servers keep 300 characters; as a query parameter a long text would make them refuse the whole request. */
const maxReasonChars = 400;

export interface ReasonInput extends Omit<Ending, "apiError"> {
  /** Whether isotovideo was started. */
  readonly hasStarted: boolean;
  /** What failed last in talking to the web UI and was not mended since. */
  readonly apiError?: string | undefined;
  readonly baseState: BaseState;
  /** What autoinst-log.txt says, see `dependsOnLog`. */
  readonly log: LogFindings;
}

/** Undefined: the result says it all, no reason is sent. */
export function formatReason(input: ReasonInput): string | undefined {
  const reason = reasonOfWorker(input) ?? reasonOfIsotovideo(input);
  return reason === "" ? undefined : cut(reason);
}

/** Whether the reason may depend on autoinst-log.txt, which takes a while to search. */
export function dependsOnLog({
  stopReason,
  baseState,
}: Pick<ReasonInput, "stopReason" | "baseState">): boolean {
  return baseState.kind === "corrupt" || isQemuFailure(describe(stopReason, baseState));
}

/** Numbers 1 to 6. Empty: no reason; undefined: isotovideo may know more. */
function reasonOfWorker(input: ReasonInput): string | undefined {
  const { stopReason, hasStarted, failure, apiError, uploadError, brokenBecause } = input;
  switch (stopReason) {
    case "timeout":
      return `timeout: ${hasStarted ? "test execution exceeded MAX_JOB_TIME" : "setup exceeded MAX_SETUP_TIME"}`;
    case "setup failure":
      return failure && `${failure.category}: ${failure.message}`;
    case "api-failure":
      return apiError ? `api failure: ${apiError}` : "api failure";
    case "quit":
      return "quit: worker has been stopped or restarted";
    case "cancel":
      return "";
    case "worker broken": {
      const cause = uploadError ?? brokenBecause;
      return cause && `worker broken: ${cause}`;
    }
    default:
      return undefined;
  }
}

/** Numbers 7 to 11. */
function reasonOfIsotovideo({ stopReason, baseState, log, uploadError }: ReasonInput): string {
  const reason =
    baseState.kind === "corrupt"
      ? corruptState(stopReason, log)
      : withQemuFailure(describe(stopReason, baseState), log);
  if (reason === "died") return "died: terminated prematurely, see log output for details";
  if (reason === "done") return uploadError ? `api failure: ${uploadError}` : "";
  return reason === resultToSend(stopReason, baseState) ? "" : reason;
}

function corruptState(stopReason: string, { isDiskFull }: LogFindings): string {
  const space = isDiskFull ? ": No space left on device" : "";
  if (stopReason === "done") return `done: terminated with corrupted state file${space}`;
  return `terminated prematurely: Encountered corrupted state file${space}, see log output for details`;
}

function describe(stopReason: string, baseState: BaseState): string {
  if (baseState.kind !== "object") return stopReason;
  const { component, msg } = baseState;
  const what = component ? `${component} ${stopReason}` : stopReason;
  return msg ? `${what}: ${firstLine(msg)}` : what;
}

function withQemuFailure(reason: string, { qemuFailure }: LogFindings): string {
  if (qemuFailure === undefined || !isQemuFailure(reason)) return reason;
  return `QEMU terminated: ${qemuFailure}, see log output of details`;
}

function isQemuFailure(reason: string): boolean {
  return (
    reason.includes("backend died: QEMU exited unexpectedly") ||
    reason.includes("backend died: QEMU terminated")
  );
}

function firstLine(text: string): string {
  const end = text.indexOf("\n");
  return end < 0 ? text : text.slice(0, end);
}

function cut(reason: string): string {
  return [...reason.slice(0, 2 * maxReasonChars)].slice(0, maxReasonChars).join("");
}
