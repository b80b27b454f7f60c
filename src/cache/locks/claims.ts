// Exclusive rights on paths of a cache directory: each path has a byte of one file, which is never removed, and whoever
// has locked it has the claim until released or dead.
import type { Context } from "../../context.ts";
import { type CacheFolder, hashOf } from "../cache-folder.ts";
import { lockWhenFree, takePlace, tryLock } from "./lock-queue.ts";

/** What somebody has of the cache until it is released, or its holder has died. */
export interface Claim extends AsyncDisposable {
  /** A second call does no harm. */
  release(): Promise<void>;
}

/** 48 bits of the path's hash: they fit into a safe integer. */
const hashDigits = 12;

/**
 * Exclusive right on a path (asset being fetched or purged, folder being synced), over all processes and within this
 * one. Undefined when somebody has it. Throws `CacheError` when the file of locks cannot be used.
 */
export async function tryClaim(folder: CacheFolder, path: string): Promise<Claim | undefined> {
  const byte = Number.parseInt(hashOf(path).slice(0, hashDigits), 16);
  return await tryLock(folder.claimsFile, [byte]);
}

/**
 * Waits for the claim, in order of arrival within this process; other processes are looked at every `retryMs`. Throws
 * the signal's reason when that is aborted, and as `tryClaim`.
 */
export async function claim(
  folder: CacheFolder,
  path: string,
  { retryMs }: { readonly retryMs: number },
  { signal }: Context,
): Promise<Claim> {
  const place = takePlace(`${folder.claimsFile} ${path}`);
  try {
    await place.turn(signal);
    const lock = await lockWhenFree(() => tryClaim(folder, path), retryMs, signal);
    // The next of this process need not look again and again: it hears of the release.
    return claimWith(() => lock.release().finally(place.leave));
  } catch (error) {
    place.leave();
    throw error;
  }
}

/** `release` has to do no harm when called twice. */
export function claimWith(release: () => Promise<void>): Claim {
  return { release, [Symbol.asyncDispose]: release };
}
