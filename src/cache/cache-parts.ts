// What works on a cache directory as a whole is given. Types only.
import type { CacheSettings } from "../config/settings.ts";
import type { CacheFolder } from "./cache-folder.ts";
import type { CacheIndex } from "./index/cache-index.ts";

export interface CacheParts {
  readonly folder: CacheFolder;
  readonly index: CacheIndex;
  readonly settings: Pick<CacheSettings, "limitGib" | "minFreePercentage">;
  readonly lockRetryMs: number;
}
