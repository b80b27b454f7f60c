// Sends an asset in chunks, in order, one at a time, as the server demands (protocol 7).
import type { Context } from "../context.ts";
import { ApiError, UnreadablePartError } from "../errors.ts";
import { sleep } from "../sleep.ts";
import { fieldParts, isJobGivenUp, tryTimeoutMs, type UploadTarget } from "./artefact.ts";
import { type AssetScope, isAssetThere } from "./asset-presence.ts";
import { chunkContent, sumOf } from "./chunk-content.ts";
import type { PoolFile } from "./pool-file.ts";
import type { Chunk } from "./storable.ts";

/** An asset in the pool, open. */
export interface OpenAsset {
  readonly name: string;
  readonly scope: AssetScope;
  readonly file: PoolFile;
  /** Absolute path on this host. */
  readonly path: string;
}

export type Delay = (delayMs: number, signal: AbortSignal) => Promise<void>;

/** A chunk that is to be sent. */
interface Turn extends Pick<Chunk, "index" | "total" | "totalSum"> {
  /** It has failed before, for all we know because of its connection. */
  readonly isRepeated: boolean;
}

/** The server checks bigger files only by their size. */
const maxCheckedBytes = 250_000_000;
const maxRetryDelayMs = 30_000;

/**
 * Uploads an asset in chunks. Throws `ApiError` when a chunk has used up its tries or the server has given the job
 * up, the signal's reason when aborted.
 */
export async function uploadChunks(
  target: UploadTarget,
  asset: OpenAsset,
  context: Context,
  delay: Delay = sleep,
): Promise<void> {
  const { chunkBytes, chunkTries, firstChunkRetryDelayMs } = target.settings.upload;
  const total = chunkCount(asset.file.sizeBytes, chunkBytes);
  const totalSum = await sumOf(asset.file, context.signal);
  const failures = new Map<number, number>();
  let lastChunkSentMs: number | undefined;
  for (let index = 1; index <= total; ) {
    if (index === total) lastChunkSentMs ??= performance.now();
    const isRepeated = failures.has(index);
    const error = await tryChunk(target, asset, { index, total, totalSum, isRepeated }, context);
    if (error === undefined) {
      index++;
      continue;
    }
    if (isJobGivenUp(error) || error.cause instanceof UnreadablePartError) throw error;
    const failed = (failures.get(index) ?? 0) + 1;
    failures.set(index, failed);
    const isOutOfTries = failed >= chunkTries;
    const about = `Error uploading ${asset.name}, chunk ${index}/${total}: ${error.message}`;
    context.log.warn(`${about} (${chunkTries - failed} of ${chunkTries} tries left)`);
    if (!isOutOfTries)
      await delay(chunkRetryDelayMs(failed, firstChunkRetryDelayMs, Math.random()), context.signal);
    if (index === total && lastChunkSentMs !== undefined) {
      const wanted = { ...asset, sizeBytes: asset.file.sizeBytes };
      if (await isAssetThere(target, wanted, performance.now() - lastChunkSentMs, context)) return;
    }
    if (isOutOfTries) throw error;
    if (index === total && mustStartOver(error, asset.file.sizeBytes)) index = 1;
  }
}

/** An empty file goes as one record. */
export function chunkCount(sizeBytes: number, chunkBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / chunkBytes));
}

/** Wait after the n-th failure of a chunk; `random` is in [0, 1). */
export function chunkRetryDelayMs(failed: number, firstDelayMs: number, random: number): number {
  const stepMs = Math.min(1000, firstDelayMs);
  return Math.min(maxRetryDelayMs, Math.round(firstDelayMs + (failed - 1 + random) * stepMs));
}

/**
 * Whether the last chunk alone would be in vain: a failed check has made the server throw all chunks away. When it is
 * unknown what became of the last chunk of a file that the server would not check, it could even pass full of holes.
 */
export function mustStartOver(error: ApiError, sizeBytes: number): boolean {
  return error.message.includes("Failed receiving asset") || sizeBytes > maxCheckedBytes;
}

async function tryChunk(
  { webUi, jobId, settings }: UploadTarget,
  { name, scope, path, file }: OpenAsset,
  { index, total, totalSum, isRepeated }: Turn,
  context: Context,
): Promise<ApiError | undefined> {
  const start = (index - 1) * settings.upload.chunkBytes;
  const end = Math.min(start + settings.upload.chunkBytes, file.sizeBytes);
  const content = chunkContent(file, { start, end, index, total, totalSum, file: path });
  try {
    const { status, body } = await webUi.call(
      {
        method: "POST",
        path: `jobs/${jobId}/artefact`,
        form: [{ name: "file", fileName: name, content }, ...fieldParts({ asset: scope })],
        tries: 1,
        newConnection: isRepeated,
        remembered: false,
        timeoutMs: tryTimeoutMs(settings.own.timeouts.answerMs, content.sizeBytes),
      },
      context,
    );
    return isOk(body) ? undefined : new ApiError(`${status} response: chunk not confirmed`, status);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

/** Whether the server has confirmed an asset or a chunk of one. */
export function isOk(body: unknown): boolean {
  return typeof body === "object" && body !== null && "status" in body && body.status === "ok";
}
