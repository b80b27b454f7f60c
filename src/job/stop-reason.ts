// Why a job ends, and what each reason entails (protocol 8.2).

/** What ends a job while it is set up or runs. Other texts come from reading the results ("no tests scheduled"). */
export type StopReason =
  | "done"
  | "died"
  | "no tests scheduled"
  | "exception"
  | "cancel"
  | "obsolete"
  | "abort"
  | "quit"
  | "timeout"
  | "setup failure"
  | "api-failure"
  | "worker broken"
  | "skipped";

/** Results that `set_done` is sent; undefined elsewhere means that the server computes it from the modules. */
export type SentResult = "incomplete" | "user_cancelled" | "timeout_exceeded" | "skipped";
