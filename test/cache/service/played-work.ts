// Work of a cache server that ends when a test says so.
import type { CacheWork } from "../../../src/cache/service/cache-server.ts";
import type { ServedAsset, ServedSync } from "../../../src/cache/service/service-protocol.ts";
import type { Context } from "../../../src/context.ts";

export interface PlayedFetch {
  readonly asset: ServedAsset;
  readonly context: Context;
  /** Ends it, with an error if there is one. */
  readonly end: (error?: unknown) => void;
}

export interface PlayedSync {
  readonly sync: ServedSync;
  readonly context: Context;
  readonly end: (exitCode: number | Error) => void;
}

export class PlayedWork implements CacheWork {
  readonly fetches: PlayedFetch[] = [];
  readonly syncs: PlayedSync[] = [];
  downloadRateBytesPerS: number | undefined;

  fetchAsset(asset: ServedAsset, context: Context): Promise<void> {
    return this.play(context, (resolve, reject) =>
      this.fetches.push({
        asset,
        context,
        end: (error) => (error === undefined ? resolve() : reject(error)),
      }),
    );
  }

  syncTests(sync: ServedSync, context: Context): Promise<number> {
    return this.play(context, (resolve, reject) =>
      this.syncs.push({
        sync,
        context,
        end: (code) => (code instanceof Error ? reject(code) : resolve(code)),
      }),
    );
  }

  async metrics() {
    return { downloadRateBytesPerS: this.downloadRateBytesPerS };
  }

  private play<T>(
    { signal }: Context,
    start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      start(resolve, reject);
    });
  }
}
