// Whether the web UI already has an asset that was uploaded: asked when the answer to its last chunk got lost, as the
// server of 2023 never answers the repetition of a chunk that completed an asset.
import type { Context } from "../context.ts";
import { ApiError } from "../errors.ts";
import type { UploadTarget } from "./artefact.ts";

export type AssetScope = "public" | "private";

/** Path of an asset below the web UI's root; the server tells the type from the end of the name (protocol 7). */
export function assetPath(name: string, scope: AssetScope, jobId: string): string {
  const stored = scope === "public" ? name : `${jobId.padStart(8, "0")}-${name}`;
  return `/assets/${assetType(name)}/${encodeURIComponent(stored)}`;
}

/**
 * Whether an asset of this size is there. An asset that is clearly older than `ageLimitMs` by the server's own clock
 * was there before and does not count. No answer counts as no.
 */
export async function isAssetThere(
  { webUi, jobId, settings }: UploadTarget,
  asset: { readonly name: string; readonly scope: AssetScope; readonly sizeBytes: number },
  ageLimitMs: number,
  context: Context,
): Promise<boolean> {
  try {
    const path = assetPath(asset.name, asset.scope, jobId);
    const { answerMs } = settings.own.timeouts;
    const { headers } = await webUi.call(
      { method: "HEAD", path, tries: 1, timeoutMs: answerMs, remembered: false },
      context,
    );
    const isSameSize = headers?.get("content-length") === String(asset.sizeBytes);
    return isSameSize && !isOlder(headers, ageLimitMs);
  } catch (error) {
    if (error instanceof ApiError) return false;
    throw error;
  }
}

/** Times in HTTP headers are whole seconds. */
const clockSlackMs = 2000;

function isOlder(headers: Headers | undefined, ageLimitMs: number): boolean {
  const modified = Date.parse(headers?.get("last-modified") ?? "");
  const now = Date.parse(headers?.get("date") ?? "");
  return now - modified > ageLimitMs + clockSlackMs;
}

function assetType(name: string): string {
  if (name.endsWith(".iso")) return "iso";
  return /\.(?:qcow2|raw|vhd|vhdx)$/.test(name) ? "hdd" : "other";
}
