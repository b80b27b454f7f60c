// The retry table of protocol 2.3, and the texts by which reasons name a failed try. Pure.
import { STATUS_CODES } from "node:http";
import { ApiError, busyStatuses } from "../errors.ts";

/** What a try came to. `"time-out"` and `"connection error"` stand for a try without an answer. */
export type TryResult = number | "time-out" | "connection error";

/** `busy` is repeated after RETRY_DELAY_IF_WEBUI_BUSY, `retry` after RETRY_DELAY. */
export type Verdict = "answered" | "final" | "retry" | "busy";

/** openQA's own "try again". */
const tryAgainStatus = 490;

export function verdictOf(result: TryResult): Verdict {
  if (result === "time-out") return "busy";
  if (result === "connection error") return "retry";
  if (result >= 200 && result < 300) return "answered";
  if (busyStatuses.includes(result)) return "busy";
  return result >= 400 && result < 500 && result !== tryAgainStatus ? "final" : "retry";
}

/** Texts longer than this are cut: they go into logs, reasons and queries. */
const maxErrorTextLength = 1000;

/** "CODE response: TEXT", TEXT being the JSON `error` of the body, else the HTTP phrase. */
export function refusal(status: number, phrase: string, body: unknown): ApiError {
  const stated = typeof body === "object" && body !== null && "error" in body ? body.error : undefined;
  const text = typeof stated === "string" && stated.trim() !== "" ? stated.trim() : phrase;
  return new ApiError(`${status} response: ${cut(text || STATUS_CODES[status] || "unknown")}`, status);
}

/** "Connection error: TEXT". */
export function connectionError(cause: unknown): ApiError {
  return new ApiError(`Connection error: ${cut(connectionErrorText(cause))}`, undefined, { cause });
}

const knownCodes: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Premature connection close",
  ENOTFOUND: "Can't resolve host name",
  Malformed_HTTP_Response: "Malformed HTTP response",
};

/** Why there was no answer, in the words of the stock worker where it has some. */
export function connectionErrorText(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  return knownCodes[code] ?? cause.message;
}

function cut(text: string): string {
  return text.length > maxErrorTextLength ? `${text.slice(0, maxErrorTextLength)}…` : text;
}
