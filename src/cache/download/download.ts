// Fetches one asset into a file (protocol 6): tries until it has come as a whole, and goes on where it broke off. Does
// not know where the file belongs in the cache.
import { basename } from "node:path";
import type { Credentials, OwnSettings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { CacheError } from "../../errors.ts";
import { sleep } from "../../sleep.ts";
import type { FinishedFile } from "./partial-writer.ts";
import { progressText, Transfer, TryFailure } from "./transfer.ts";
import { Tries } from "./tries.ts";

export interface DownloadRequest {
  readonly url: URL;
  /** Each request is signed anew; on other hosts that the URL redirects to none is. */
  readonly credentials: Credentials | undefined;
  /** Of the complete copy that there is. */
  readonly etag: string | undefined;
  /**
   * Absolute path of the unfinished file; beside it lies what is known of it, which `removePartial` removes. Only one
   * download at a time may use it.
   */
  readonly partial: string;
  /**
   * Called in each try when it is known how many bytes are still to be written (0 if the server does not say), before
   * any is. Throws when there is no room.
   */
  readonly makeRoom: (sizeBytes: number, context: Context) => Promise<void>;
  /** In a row that get no further, the first included. */
  readonly tries: number;
  readonly timing: Pick<
    OwnSettings["cache"],
    "retryDelayMs" | "maxRetryDelayMs" | "minBytesPerWindow" | "rateWindowMs"
  > & { readonly answerMs: number };
  /** Called ten times a second at most, and in the end. */
  readonly onProgress?: (progress: { receivedBytes: number; totalBytes: number | undefined }) => void;
}

export type Downloaded =
  /** The copy that there is, is current; nothing is at `partial`. */
  | { readonly kind: "unchanged" }
  /** The file at `partial` is complete and flushed. */
  | ({ readonly kind: "fetched"; readonly etag: string | undefined } & FinishedFile);

/**
 * Throws `AssetRefusedError`, or `CacheError` for everything else that another try does not mend and when the tries are
 * used up. What has come of the file stays at `partial` for the next download, also when this one is aborted or dies.
 */
export async function download(request: DownloadRequest, context: Context): Promise<Downloaded> {
  const name = assetName(request.url);
  const transfer = await Transfer.open(request, name, context);
  const tries = new Tries(request.tries, request.timing, transfer.receivedBytes);
  try {
    for (;;) {
      context.signal.throwIfAborted();
      const outcome = await transfer.try(context).catch((error) => failure(error));
      if (outcome instanceof TryFailure) await waitForNext(outcome, name, transfer, tries, context);
      else if (outcome !== "ask again") return outcome;
    }
  } finally {
    transfer.close();
  }
}

/** Base name of the file behind a URL. */
export function assetName({ pathname }: URL): string {
  const name = basename(pathname);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function failure(error: unknown): TryFailure {
  if (error instanceof TryFailure) return error;
  throw error;
}

async function waitForNext(
  { message, retryAfterMs }: TryFailure,
  name: string,
  { receivedBytes, totalBytes }: Transfer,
  tries: Tries,
  { signal, log }: Context,
): Promise<void> {
  const delayMs = tries.nextDelayMs(receivedBytes, retryAfterMs);
  const text = `Download of "${name}" failed at ${progressText(receivedBytes, totalBytes)}: ${message}`;
  if (delayMs === undefined) throw new CacheError(`${text} (tries used up: ${tries.limit})`);
  const limit = Number.isFinite(tries.limit) ? ` of ${tries.limit}` : "";
  log.warn(`${text} (try ${tries.failed + 1}${limit} in ${(delayMs / 1000).toFixed(1)} s)`);
  await sleep(delayMs, signal);
}
