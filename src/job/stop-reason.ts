// Why a job ends, and what each reason entails (protocol 8.2).
import type { SetupFailure } from "../errors.ts";
import type { BaseState } from "../results/state-files.ts";

/** What ends a job. Texts like "no tests scheduled" are reasons that the server shows as they are. */
export const stopReasons = [
  "done",
  "died",
  "no tests scheduled",
  "exception",
  "cancel",
  "obsolete",
  "abort",
  "quit",
  "timeout",
  "setup failure",
  "api-failure",
  "worker broken",
  "skipped",
] as const;
export type StopReason = (typeof stopReasons)[number];

/** Results that `set_done` is sent; undefined elsewhere means that the server computes it from the modules. */
export type SentResult = "incomplete" | "user_cancelled" | "timeout_exceeded" | "skipped";

/** Why a job ends, with what its reason text may need (protocol 8.3). */
export interface Ending {
  readonly stopReason: StopReason;
  /** With "setup failure". */
  readonly failure?: Pick<SetupFailure, "category" | "message"> | undefined;
  /** With "api-failure": what the web UI answered last, in the form "CODE response: TEXT". */
  readonly apiError?: string | undefined;
  /** "Unable to upload images: …", when the last upload of results failed. */
  readonly uploadError?: string | undefined;
  /** With "worker broken": why the slot is unavailable. */
  readonly brokenBecause?: string | undefined;
}

export interface Conclusion {
  /** "from base_state": what isotovideo left there, else none. */
  readonly result: SentResult | "from base_state";
  /** The server turns an incomplete job with this into an obsoleted one. */
  readonly newbuild: boolean;
  readonly duplicates: boolean;
  readonly uploadsLogs: boolean;
  readonly uploadsAssets: boolean;
  /** Only if isotovideo was started. */
  readonly postsLastStatus: boolean;
}

const incomplete: Conclusion = {
  result: "incomplete",
  newbuild: false,
  duplicates: false,
  uploadsLogs: false,
  uploadsAssets: false,
  postsLastStatus: false,
};
const withResults: Conclusion = { ...incomplete, postsLastStatus: true };
const withLogs: Conclusion = { ...withResults, uploadsLogs: true };

/** What becomes of a job by its stop reason (protocol 8.2). */
export const conclusions: Readonly<Record<StopReason, Conclusion>> = {
  done: { ...withLogs, result: "from base_state", uploadsAssets: true },
  died: withLogs,
  "no tests scheduled": withLogs,
  exception: withLogs,
  cancel: { ...withLogs, result: "user_cancelled", uploadsAssets: true },
  obsolete: { ...withLogs, newbuild: true },
  abort: withResults,
  quit: { ...withResults, duplicates: true },
  timeout: { ...withLogs, result: "timeout_exceeded" },
  "setup failure": { ...withLogs, postsLastStatus: false },
  "api-failure": incomplete,
  "worker broken": withLogs,
  skipped: { ...incomplete, result: "skipped" },
};

/** The result for `set_done`; undefined: the server computes it from the modules. */
export function resultToSend(stopReason: StopReason, baseState: BaseState): string | undefined {
  const { result } = conclusions[stopReason];
  if (result !== "from base_state") return result;
  return baseState.kind === "object" && baseState.result ? baseState.result : undefined;
}
