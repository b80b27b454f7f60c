// One request of a cache service that is served: its work, and what its clients get to see of it.
import type { Context } from "../../context.ts";
import { AssetRefusedError, CacheError, errorText } from "../../errors.ts";
import type { WantedWork } from "./enqueue-request.ts";
import { RequestOutput } from "./request-output.ts";
import type { ServedAsset, ServedSync } from "./service-protocol.ts";

/** What does the work. */
export interface CacheWork {
  /** Throws `AssetRefusedError` or `CacheError`. What `context.log` gets from level info on goes to the clients, too. */
  fetchAsset(asset: ServedAsset, context: Context): Promise<void>;
  /** Resolves with the exit code of rsync. */
  syncTests(sync: ServedSync, context: Context): Promise<number>;
  /** Of the last big download; undefined before there was one. */
  metrics(): Promise<{ downloadRateBytesPerS: number | undefined }>;
}

export type WorkOutcome =
  | { readonly kind: "asset"; readonly hasError: boolean; readonly output: string }
  | { readonly kind: "tests"; readonly exitCode: number; readonly output: string }
  /** Without a result that clients could make something of. */
  | { readonly kind: "failed"; readonly text: string };

/** Never fails. */
export async function doWork(
  wanted: WantedWork,
  requestId: number,
  work: CacheWork,
  context: Context,
): Promise<WorkOutcome> {
  const output = new RequestOutput(requestId);
  const inner = { ...context, log: context.log.also(output.sink) };
  try {
    inner.signal.throwIfAborted();
    if (wanted.task === "cache_asset") {
      const hasError = await fetchAsset(wanted.asset, work, inner, output);
      return { kind: "asset", hasError, output: output.text };
    }
    const exitCode = await work.syncTests(wanted.sync, inner);
    return { kind: "tests", exitCode, output: output.text };
  } catch (error) {
    const text = errorText(error);
    if (!context.signal.aborted)
      context.log.error(`Request #${requestId} (${describe(wanted)}) failed: ${text}`);
    return { kind: "failed", text };
  }
}

/** For people. */
export function describe(wanted: WantedWork): string {
  if (wanted.task === "cache_tests") return `sync of "${wanted.sync.from}" to "${wanted.sync.to}"`;
  const { name, host, jobId } = wanted.asset;
  return `asset "${name}" of ${host} for job ${jobId}`;
}

/** Whether there was an error. */
async function fetchAsset(
  asset: ServedAsset,
  work: CacheWork,
  context: Context,
  output: RequestOutput,
): Promise<boolean> {
  try {
    await work.fetchAsset(asset, context);
    return false;
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof CacheError)) throw error;
    context.log.error(error.message);
    // Stock workers tell by the text whose fault it is.
    if (error instanceof AssetRefusedError) output.stateRefusal(asset.name, error.status);
    else output.concealRefusals();
    return true;
  }
}
