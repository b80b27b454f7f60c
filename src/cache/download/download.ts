// Fetches one asset into a file (protocol 6): tries until it has come as a whole, and goes on where it broke off. Does
// not know where the file belongs in the cache.
import { basename } from "node:path";
import type { Context } from "../../context.ts";
import { CacheError } from "../../errors.ts";
import { sleep } from "../../sleep.ts";
import type { Downloaded, DownloadRequest } from "./download-request.ts";
import { progressText, Transfer, TryFailure } from "./transfer.ts";
import { Tries } from "./tries.ts";

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
