// One file of the pool as an artefact of a job (protocol 7, uploads).
import type { Settings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { ApiError, UnreadablePartError } from "../errors.ts";
import type { FormPart, WebUi } from "../webui/web-ui.ts";
import { openInside, type PoolFile } from "./pool-file.ts";

/** The job that uploads are for. */
export interface UploadTarget {
  readonly webUi: WebUi;
  /** Digits. */
  readonly jobId: string;
  readonly poolDirectory: string;
  readonly settings: Pick<Settings, "upload" | "own">;
}

/** Slower transfers run into the deadline of a try. */
const slowestBytesPerMs = 100;

/** Deadline of one try: the usual time for a request plus that for its bytes at the slowest rate. */
export function tryTimeoutMs(usualMs: number, bodyBytes: number): number {
  return usualMs + Math.ceil(bodyBytes / slowestBytesPerMs);
}

/**
 * Uploads a file under a bare name, with the retries of every REST call; false when there is no such file.
 * Throws `PoolFileError` when it is no regular file of the pool, `ApiError` when the upload failed.
 */
export async function uploadFile(
  target: UploadTarget,
  file: { readonly inPool: string; readonly as: string },
  fields: Readonly<Record<string, string>>,
  context: Context,
): Promise<boolean> {
  await using open = await openInside(target.poolDirectory, file.inPool);
  if (open === undefined) return false;
  const { webUi, jobId, settings } = target;
  await webUi.call(
    {
      method: "POST",
      path: `jobs/${jobId}/artefact`,
      form: [filePart(file.as, open), ...fieldParts(fields)],
      timeoutMs: tryTimeoutMs(settings.own.timeouts.requestMs, open.sizeBytes),
      remembered: false,
    },
    context,
  );
  return true;
}

export function fieldParts(fields: Readonly<Record<string, string>>): FormPart[] {
  return Object.entries(fields).map(([name, value]) => ({ name, value }));
}

/** The server gave the job up: it will take no further artefact. */
export function isJobGivenUp(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404 && error.message.includes("No worker assigned");
}

/** Further files would only use up their tries: the server is away, or takes nothing for this job. */
export function isFurtherInVain(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return isJobGivenUp(error) || (!error.isFinal && !(error.cause instanceof UnreadablePartError));
}

function filePart(fileName: string, { handle, sizeBytes }: PoolFile): FormPart {
  return { name: "file", fileName, content: { fd: handle.fd, sizeBytes } };
}
