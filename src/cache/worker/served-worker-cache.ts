// Caching through the HTTP interface of a cache service: a stock one of this host, or the one that CACHESERVICEURL names.
import { join } from "node:path";
import type { CacheSettings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { AssetRefusedError, CacheError } from "../../errors.ts";
import { statIfThere } from "../../ops/stat-if-there.ts";
import { testsFolderName } from "../cache-folder.ts";
import { cacheHostName } from "../host-name.ts";
import type { CacheService } from "../service/service-client.ts";
import {
  type CacheUser,
  cachedPath,
  failedDownload,
  type WantedAsset,
  type WorkerCache,
} from "./worker-cache.ts";

export class ServedWorkerCache implements WorkerCache {
  constructor(
    private readonly service: CacheService,
    private readonly settings: Pick<CacheSettings, "directory" | "testsDirectory">,
  ) {}

  async findProblem(context: Context): Promise<string | undefined> {
    const problem = await this.service.findProblem(context);
    return problem && `Worker cache not available via ${this.service.url}: ${problem}`;
  }

  async fetchAsset(asset: WantedAsset, user: CacheUser, _: unknown, context: Context): Promise<string> {
    const path = cachedPath(this.settings, user, asset.name);
    const text = failedDownload(this.settings, user, asset.name);
    const wanted = { ...asset, host: user.host };
    const { output, hasError } = await this.service.fetchAsset(wanted, context).catch((error: unknown) => {
      if (!(error instanceof AssetRefusedError)) throw error;
      throw new AssetRefusedError(text, error.status, { cause: error });
    });
    if (hasError || !(await statIfThere(path)))
      throw new CacheError(`${text}${prunedNote(output, asset.name)}`);
    return path;
  }

  async syncTests(source: string, user: CacheUser, context: Context): Promise<string> {
    const hostDirectory = join(this.settings.testsDirectory, cacheHostName(user.host));
    await this.service.syncTests({ from: source, to: hostDirectory }, context);
    return join(hostDirectory, testsFolderName);
  }
}

/** The stock service may purge an asset right after it has fetched it (field lesson 16). */
function prunedNote(output: string, name: string): string {
  const isPruned = output
    .split("\n")
    .some(
      (line) => line.includes("Purging") && line.includes(name) && line.includes("because we need space"),
    );
  return isPruned ? ". Asset was pruned immediately after download (poo#71827), please retrigger" : "";
}
