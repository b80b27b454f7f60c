// The jobs in `grab_job` and `grab_jobs` messages (protocol 2.5, 5), checked: settings that are texts, ids that are known.
import { z } from "zod";

/** Digits; the server sends numbers and texts. */
export const jobIdSchema = z
  .union([z.number().int().nonnegative(), z.string().regex(/^\d{1,18}$/)])
  .transform(String)
  .brand("JobId");
/** Compared as text. */
export type JobId = z.output<typeof jobIdSchema>;

/** A job as offered. */
export interface OfferedJob {
  readonly id: JobId;
  readonly settings: Readonly<Record<string, string>>;
  /** The job hash as it came; statuses send it back. */
  readonly received: Readonly<Record<string, unknown>>;
}

/** A parent, then its children: each a job, or a list that starts with one (protocol 5). */
export type JobSequence = readonly (JobId | JobSequence)[];

export type JobOffer =
  | { readonly kind: "grab_job"; readonly job: OfferedJob }
  | { readonly kind: "grab_jobs"; readonly jobs: readonly OfferedJob[]; readonly sequence: JobSequence }
  /** Jobs that cannot be taken, with what the server is told. */
  | { readonly kind: "invalid-job"; readonly jobIds: readonly JobId[]; readonly why: string }
  /** Not even an id. */
  | { readonly kind: "invalid"; readonly why: string };

/** Any JSON object. */
export const record = z.record(z.string(), z.unknown());

const settingsSchema = z.record(z.string(), z.union([z.string(), z.number().transform(String)]));

const invalidJob = "the provided job is invalid";

/** The `job` of a `grab_job` message. */
export function grabJob(offered: unknown): JobOffer {
  const received = record.safeParse(offered).data;
  const id = jobIdSchema.safeParse(received?.["id"]).data;
  if (received === undefined || id === undefined)
    return { kind: "invalid", why: "grab_job without a job id" };
  const settings = settingsSchema.safeParse(received["settings"]);
  if (settings.success) return { kind: "grab_job", job: { id, settings: settings.data, received } };
  const [issue] = settings.error.issues;
  const [name] = issue?.path ?? [];
  const what = name === undefined ? "it has no settings" : `setting ${String(name)} is no text`;
  return { kind: "invalid-job", jobIds: [id], why: `${invalidJob}: ${what}` };
}

/** The `job_info` of a `grab_jobs` message. */
export function grabJobs(offered: unknown): JobOffer {
  const info = record.safeParse(offered).data;
  const data = record.safeParse(info?.["data"]).data;
  if (data === undefined) return { kind: "invalid", why: "grab_jobs without job data" };
  const jobIds = Object.keys(data).flatMap((key) => jobIdSchema.safeParse(key).data ?? []);
  const jobs: OfferedJob[] = [];
  for (const [key, each] of Object.entries(data)) {
    const message = grabJob(each);
    if (message.kind !== "grab_job") return { kind: "invalid-job", jobIds, why: invalidJob };
    if (message.job.id !== key)
      return { kind: "invalid", why: `grab_jobs with job ${message.job.id} as ${key}` };
    jobs.push(message.job);
  }
  if (!Array.isArray(info?.["sequence"]))
    return { kind: "invalid-job", jobIds, why: "job info lacks execution sequence" };
  const sequence = readSequence(info["sequence"], 0);
  if (sequence === undefined) return { kind: "invalid-job", jobIds, why: "execution sequence is invalid" };
  const ids = new Set(idsIn(sequence));
  const missing = [...ids].find((id) => !jobs.some((job) => job.id === id));
  if (missing !== undefined)
    return { kind: "invalid-job", jobIds, why: `job data for job ${missing} is missing` };
  const unplaced = jobs.find(({ id }) => !ids.has(id));
  if (unplaced)
    return { kind: "invalid-job", jobIds, why: `job ${unplaced.id} is not in the execution sequence` };
  if (jobs.length === 0) return { kind: "invalid", why: "grab_jobs without any job" };
  return { kind: "grab_jobs", jobs, sequence };
}

/** Deepest nesting of an execution sequence: a chain of that many jobs. */
const maxSequenceDepth = 500;

function readSequence(list: readonly unknown[], depth: number): JobSequence | undefined {
  if (depth === maxSequenceDepth) return undefined;
  const sequence: (JobId | JobSequence)[] = [];
  for (const entry of list) {
    const read = Array.isArray(entry) ? readSequence(entry, depth + 1) : jobIdSchema.safeParse(entry).data;
    if (read === undefined) return undefined;
    sequence.push(read);
  }
  return sequence;
}

function idsIn(sequence: JobSequence): JobId[] {
  return sequence.flatMap((entry) => (typeof entry === "string" ? entry : idsIn(entry)));
}
