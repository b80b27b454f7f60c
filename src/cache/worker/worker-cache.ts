// What a slot and its jobs see of caching: one interface, whether the directory is this worker's own or a cache service
// has it (protocol 6).
import { join } from "node:path";
import type { CacheSettings, Credentials } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { cacheHostName } from "../host-name.ts";

export interface WantedAsset {
  readonly jobId: string;
  readonly type: string;
  /** Base name. */
  readonly name: string;
}

/** Whom assets and tests are for. */
export interface CacheUser {
  /** Entry of HOST. */
  readonly host: string;
  /** Base URL of the web UI. */
  readonly url: string;
  readonly credentials: Credentials | undefined;
  /** For people: "slot 3, job 42". */
  readonly holder: string;
  /** Environment of programs that are started, with the mark by which they are found. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface WorkerCache {
  /** Why no job can be taken, for the status message (protocol 3.3 no. 1). */
  findProblem(context: Context): Promise<string | undefined>;
  /**
   * Absolute path of the asset, kept until `user` has released it. Throws `AssetRefusedError` when the web UI refuses
   * it, `CacheError` otherwise.
   */
  fetchAsset(
    asset: WantedAsset,
    user: CacheUser,
    held: AsyncDisposableStack,
    context: Context,
  ): Promise<string>;
  /** Syncs from TESTPOOLSERVER; resolves with the folder of the test distributions. Throws `CacheError`. */
  syncTests(source: string, user: CacheUser, context: Context): Promise<string>;
}

/** Absolute path of an asset in the directory as configured. */
export function cachedPath(
  { directory }: Pick<CacheSettings, "directory">,
  { host }: CacheUser,
  name: string,
): string {
  return join(directory, cacheHostName(host), name);
}

/** The stock worker's text, for reasons. */
export function failedDownload(
  settings: Pick<CacheSettings, "directory">,
  user: CacheUser,
  name: string,
): string {
  return `Failed to download ${name} to ${cachedPath(settings, user, name)}`;
}
