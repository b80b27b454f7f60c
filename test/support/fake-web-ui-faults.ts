// Requests that tests let a fake web UI refuse, and refusals in its words.
import type { RecordedRequest } from "./journal.ts";
import type { FaultAction } from "./raw-connection.ts";

export const registration = /^POST \/api\/v1\/workers\?/;
export const upgrade = /^GET \/api\/v1\/ws\//;
/** Every call about a job; registration and websocket go on. */
export const jobCalls = /^[A-Z]+ \/api\/v1\/jobs\//;
export const statusPost = /^POST \/api\/v1\/jobs\/\d+\/status/;
export const artefactPost = /^POST \/api\/v1\/jobs\/\d+\/artefact/;
/** The first uploads of a job that has ended. */
export const ulogPost = ({ path, body }: RecordedRequest) =>
  path.endsWith("/artefact") && body.includes('name="ulog"');
export const setDonePost = /^POST \/api\/v1\/jobs\/\d+\/set_done/;

/** For `times` of a fault that stays until it is removed. */
export const always = Number.POSITIVE_INFINITY;

export function refusal(status: number, error: string, headers: Record<string, string> = {}): FaultAction {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ error, error_status: status }),
  };
}

export const timestampMismatch = refusal(
  403,
  "timestamp mismatch - check whether clocks on the local host and the web UI host are in sync (...)",
);

/** Too many workers without a job are connected (protocol 2.5). */
export function tooManyWorkers(retryAfterSeconds: number): FaultAction {
  return {
    status: 429,
    headers: { "retry-after": String(retryAfterSeconds) },
    body: "Limit of worker connections exceeded",
  };
}
