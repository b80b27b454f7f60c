// What goes over the websocket (protocol 2.5): types of our messages, and the server's, checked. Says what a message is,
// not what is done about it.
import { z } from "zod";
import { grabJob, grabJobs, type JobId, type JobOffer, jobIdSchema, record } from "./job-offers.ts";

export type { JobId, JobSequence, OfferedJob } from "./job-offers.ts";

export type ServerMessage =
  | JobOffer
  | { readonly kind: "oversized-job"; readonly jobIds: readonly JobId[]; readonly sizeBytes: number }
  | { readonly kind: "stop"; readonly type: StopCommand; readonly jobId: JobId }
  | { readonly kind: "live"; readonly type: LiveCommand; readonly jobId: JobId }
  /** `seen`: the server acknowledges a status (2026). */
  | { readonly kind: "info"; readonly seen: boolean }
  | { readonly kind: "incompatible" }
  /** An answer to a message of ours. */
  | { readonly kind: "answer" }
  | { readonly kind: "unknown"; readonly type: string }
  | { readonly kind: "invalid"; readonly why: string };

export const stopCommands = ["cancel", "obsolete", "abort", "quit"] as const;
export type StopCommand = (typeof stopCommands)[number];
export const liveCommands = ["livelog_start", "livelog_stop", "developer_session_start"] as const;
export type LiveCommand = (typeof liveCommands)[number];

interface PendingJobs {
  /** Id → 1 for each queued job; left out without any. */
  readonly pending_job_ids?: Readonly<Record<string, 1>>;
}
export type WorkerStatusMessage = { readonly type: "worker_status" } & PendingJobs &
  (
    | { readonly status: "free" }
    | { readonly status: "broken"; readonly reason: string }
    | {
        readonly status: "working";
        readonly current_webui_host: string;
        readonly job: Readonly<Record<string, unknown>>;
      }
  );
export type WorkerMessage =
  | WorkerStatusMessage
  | { readonly type: "accepted"; readonly jobid: number }
  | { readonly type: "rejected"; readonly job_ids: readonly number[]; readonly reason: string }
  | { readonly type: "quit" };

export function acceptedMessage(jobId: string): WorkerMessage {
  return { type: "accepted", jobid: Number(jobId) };
}

export function rejectedMessage(jobIds: readonly string[], reason: string): WorkerMessage {
  return { type: "rejected", job_ids: jobIds.map(Number), reason };
}

type Fields = z.output<typeof record>;

const commandSchema = z.object({ jobid: jobIdSchema });

/** Whatever the text is, it becomes one of the kinds; nothing is thrown. */
export function parseServerMessage(
  text: string,
  limits: { readonly maxJobMessageBytes: number },
): ServerMessage {
  const fields = record.safeParse(parseJson(text)).data;
  if (fields === undefined)
    return { kind: "invalid", why: `no JSON object: ${JSON.stringify(text.slice(0, maxQuotedLength))}` };
  if ("result" in fields) return { kind: "answer" };
  if (typeof fields["type"] !== "string") return { kind: "invalid", why: "message without a type" };
  const message = byType(fields["type"], fields);
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes <= limits.maxJobMessageBytes) return message;
  const jobIds = offeredIds(message);
  return jobIds.length === 0 ? message : { kind: "oversized-job", jobIds, sizeBytes };
}

/** Characters of a message that is none, for the log. */
const maxQuotedLength = 100;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function byType(type: string, fields: Fields): ServerMessage {
  if (type === "grab_job") return grabJob(fields["job"]);
  if (type === "grab_jobs") return grabJobs(fields["job_info"]);
  if (type === "info") return { kind: "info", seen: Boolean(fields["seen"]) };
  if (type === "incompatible") return { kind: "incompatible" };
  const stop = stopCommands.find((each) => each === type);
  const live = liveCommands.find((each) => each === type);
  if (stop === undefined && live === undefined) return { kind: "unknown", type };
  const jobId = commandSchema.safeParse(fields).data?.jobid;
  if (jobId === undefined) return { kind: "invalid", why: `${type} without a job id` };
  if (stop !== undefined) return { kind: "stop", type: stop, jobId };
  return live === undefined ? { kind: "unknown", type } : { kind: "live", type: live, jobId };
}

function offeredIds(message: ServerMessage): readonly JobId[] {
  if (message.kind === "grab_job") return [message.job.id];
  if (message.kind === "grab_jobs") return message.jobs.map(({ id }) => id);
  return message.kind === "invalid-job" ? message.jobIds : [];
}
