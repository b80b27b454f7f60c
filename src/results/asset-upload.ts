// An asset that a job made goes to the web UI: as a path where the web UI runs on this host, else in chunks
// (protocol 7).
import { join } from "node:path";
import type { Context } from "../context.ts";
import { ApiError, errorText } from "../errors.ts";
import { fieldParts, isJobGivenUp, tryTimeoutMs, type UploadTarget } from "./artefact.ts";
import { type Delay, isOk, type OpenAsset, uploadChunks } from "./asset-chunks.ts";
import type { AssetScope } from "./asset-presence.ts";
import { openInside } from "./pool-file.ts";

/**
 * Uploads `assets_SCOPE/NAME` of the pool; false when there is no such file. A web UI on this host that cannot take
 * it from there gets it in chunks. Throws `PoolFileError`, or `ApiError` when it is given up; the server is then told
 * to drop what it has.
 */
export async function uploadAsset(
  target: UploadTarget,
  { name, scope }: { readonly name: string; readonly scope: AssetScope },
  context: Context,
  delay?: Delay,
): Promise<boolean> {
  const inPool = `assets_${scope}/${name}`;
  await using file = await openInside(target.poolDirectory, inPool);
  if (file === undefined) return false;
  const asset = { name, scope, file, path: join(target.poolDirectory, inPool) };
  if (takesPaths(target) && (await uploadPath(target, asset, context))) return true;
  try {
    await uploadChunks(target, asset, context, delay);
  } catch (error) {
    if (error instanceof ApiError && !isJobGivenUp(error)) await reportUploadFailed(target, asset, context);
    throw error;
  }
  return true;
}

/** LOCAL_UPLOAD is on and the web UI is called by a name of this host. */
function takesPaths({ webUi, settings }: UploadTarget): boolean {
  return settings.upload.local && ["localhost", "127.0.0.1", "[::1]"].includes(new URL(webUi.url).hostname);
}

async function uploadPath(
  { webUi, jobId, settings }: UploadTarget,
  { name, scope, path, file }: OpenAsset,
  context: Context,
): Promise<boolean> {
  const form = [
    { name: "file", fileName: name, content: new Uint8Array() },
    ...fieldParts({ asset: scope, local: path }),
  ];
  try {
    await file.handle.chmod(0o644);
    // The server copies the whole file before it answers.
    const timeoutMs = tryTimeoutMs(settings.own.timeouts.requestMs, file.sizeBytes);
    const path = `jobs/${jobId}/artefact`;
    const request = { method: "POST", path, form, tries: 1, timeoutMs, remembered: false } as const;
    const { body } = await webUi.call(request, context);
    if (isOk(body)) return true;
    context.log.warn(`Local upload of ${name} not confirmed, uploading it in chunks`);
  } catch (error) {
    context.signal.throwIfAborted();
    if (isJobGivenUp(error)) throw error;
    context.log.warn(`Local upload of ${name} failed, uploading it in chunks: ${errorText(error)}`);
  }
  return false;
}

/** So that the server drops the partial file. */
async function reportUploadFailed(
  { webUi, jobId }: UploadTarget,
  { name, scope }: OpenAsset,
  context: Context,
): Promise<void> {
  const form = fieldParts({ filename: name, scope, state: "fail" });
  try {
    const path = `jobs/${jobId}/upload_state`;
    await webUi.call({ method: "POST", path, form, tries: 1, remembered: false }, context);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    context.log.warn(`Unable to report the failed upload of ${name}: ${error.message}`);
  }
}
