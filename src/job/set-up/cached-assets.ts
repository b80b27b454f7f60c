// Assets of a job from the cache (protocol 4.2): what goes wrong becomes the reason's category and text.
import { basename } from "node:path";
import { assetNameProblem } from "../../cache/asset-name.ts";
import type { CacheUser, WorkerCache } from "../../cache/worker/worker-cache.ts";
import { isOn } from "../../config/read-values.ts";
import type { Context } from "../../context.ts";
import { AssetRefusedError, errorText, SetupFailure } from "../../errors.ts";
import type { Asset, AssetSource } from "./assets.ts";
import type { JobSettings } from "./job-settings.ts";

export interface CachedSource {
  readonly cache: WorkerCache;
  readonly user: CacheUser;
  readonly jobId: string;
  readonly jobSettings: JobSettings;
  /** Takes what keeps the assets in the cache. */
  readonly held: AsyncDisposableStack;
}

export function assetsInCache(source: CachedSource): AssetSource {
  return {
    isAlwaysLinked: true,
    async find(asset, context) {
      if (asset.setting !== "UEFI_PFLASH_VARS") return await fetchAsset(source, asset, context);
      if (!isOn(source.jobSettings["UEFI"] ?? "")) return undefined;
      try {
        return await fetchAsset(source, asset, context);
      } catch (error) {
        if (!(error instanceof SetupFailure)) throw error;
        // isotovideo may know what to do with the setting as it is.
        context.log.error(error.message);
        return undefined;
      }
    },
  };
}

async function fetchAsset(
  { cache, user, held, jobId }: CachedSource,
  { type, name }: Asset,
  context: Context,
): Promise<string> {
  const file = basename(name);
  const problem = assetNameProblem(file);
  if (problem !== undefined)
    throw new SetupFailure("asset failure", `No asset can have this name: ${problem}`);
  try {
    return await cache.fetchAsset({ jobId, type, name: file }, user, held, context);
  } catch (error) {
    context.signal.throwIfAborted();
    throw asSetupFailure(error);
  }
}

/** What the cache could not do, whatever it was, as what ends a set-up. */
export function asSetupFailure(error: unknown): SetupFailure {
  const category = error instanceof AssetRefusedError ? "asset failure" : "cache failure";
  return new SetupFailure(category, errorText(error), { cause: error });
}
