// The calls about one job (protocol 7, 8.1), with their answers checked. Which of them matter is said here, once; artefacts
// are the concern of `results/`.
import { z } from "zod";
import type { Context } from "../context.ts";
import { ApiError } from "../errors.ts";
import type { RestRequest, WebUi } from "./web-ui.ts";

type JobId = string | number;

const names = z.array(z.string()).catch([]);
const optionalText = z.string().optional().catch(undefined);
const statusSchema = z
  .looseObject({
    result: z.unknown().optional(),
    known_images: names,
    known_files: names,
    job_result: optionalText,
  })
  .transform((answer) => ({
    /** 1, or 0 when the job does not run any more for the server. */
    result: answer.result,
    /** MD5 sums. */
    knownImages: answer.known_images,
    knownFiles: answer.known_files,
    jobResult: answer.job_result,
  }));
export type StatusAnswer = z.output<typeof statusSchema>;

/** Posts what is new of a running job. Throws a final `ApiError` when the server has given the job up. */
export function postStatus(
  webUi: WebUi,
  jobId: JobId,
  status: Readonly<Record<string, unknown>>,
  context: Context,
  options: Pick<RestRequest, "tries" | "timeoutMs" | "remembered"> = {},
): Promise<StatusAnswer> {
  const json = { status: { ...status, worker_id: webUi.workerId } };
  return post(webUi, { path: `jobs/${jobId}/status`, json, ...options }, statusSchema, context);
}

/** Says that the job is being set up, so that the server does not take it for dead. The answer changes nothing. */
export async function postSetup(webUi: WebUi, jobId: JobId, context: Context): Promise<void> {
  await postStatus(webUi, jobId, { setup: 1 }, context, { tries: 1, remembered: false });
}

/** Says that the job has ended and uploads follow. The answer, of whatever sense, changes nothing. */
export async function postUploading(webUi: WebUi, jobId: JobId, context: Context): Promise<void> {
  await postStatus(webUi, jobId, { uploading: 1 }, context, { remembered: false });
}

/** Has the server schedule the job again, when the worker stops amid it. */
export async function duplicateJob(webUi: WebUi, jobId: JobId, context: Context): Promise<void> {
  const request = { path: `jobs/${jobId}/duplicate`, query: { dup_type_auto: "1" } };
  await post(webUi, request, z.looseObject({}), context);
}

export interface JobEnd {
  /** Undefined: the server computes it from the modules. */
  readonly result?: string | undefined;
  readonly reason?: string | undefined;
  readonly newbuild?: boolean | undefined;
}

const doneSchema = z.looseObject({ result: optionalText, reason: optionalText });

/** Ends the job on the server; resolves with the result that it stored. One try: the server fires its hooks at each call. */
export async function setDone(
  webUi: WebUi,
  jobId: JobId,
  { result, reason, newbuild = false }: JobEnd,
  context: Context,
): Promise<{ readonly result: string | undefined }> {
  const query = {
    ...(webUi.workerId === undefined ? {} : { worker_id: String(webUi.workerId) }),
    ...(result === undefined ? {} : { result }),
    ...(reason === undefined ? {} : { reason }),
    ...(newbuild ? { newbuild: "1" } : {}),
  };
  const request = { path: `jobs/${jobId}/set_done`, query, tries: 1, remembered: false };
  return { result: (await post(webUi, request, doneSchema, context)).result };
}

const jobSchema = z
  .looseObject({ job: z.looseObject({ state: z.string(), result: optionalText, reason: optionalText }) })
  .transform(({ job: { state, result, reason } }) => ({ state, result, reason }));

/** How the job stands on the server. */
export async function getJob(
  webUi: WebUi,
  jobId: JobId,
  context: Context,
): Promise<z.output<typeof jobSchema>> {
  return checked(await webUi.call({ path: `jobs/${jobId}`, expects: "json" }, context), jobSchema);
}

/** How far the results of a job are on the server, for developers (protocol 7). */
export interface UploadProgress {
  /** Last module sent with the latest post; null: none. */
  readonly upload_up_to: string | null;
  /** Whether that one is still running; null: there is none. */
  readonly upload_up_to_current_module: 0 | 1 | null;
  readonly outstanding_images: number;
  readonly outstanding_files: number;
}

const uploadProgressTries = 3;

/** Has the live view handler, a service of its own, pass it on to browsers. */
export async function postUploadProgress(
  webUi: WebUi,
  jobId: JobId,
  progress: UploadProgress,
  context: Context,
  options: Pick<RestRequest, "timeoutMs"> = {},
): Promise<void> {
  const path = `/liveviewhandler/api/v1/jobs/${jobId}/upload_progress`;
  const to = { method: "POST", path, portDelta: webUi.servicePortDelta } as const;
  const request = { ...to, json: progress, tries: uploadProgressTries, remembered: false, ...options };
  await webUi.call(request, context);
}

async function post<T>(
  webUi: WebUi,
  request: RestRequest,
  schema: z.ZodType<T>,
  context: Context,
): Promise<T> {
  return checked(await webUi.call({ method: "POST", expects: "json", ...request }, context), schema);
}

/** An object of an unknown form is no answer of a web UI that this worker can work with. */
function checked<T>({ status, body }: { status: number; body: unknown }, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new ApiError(`${status} response: ${z.prettifyError(parsed.error)}`, status, { cause: parsed.error });
}
