// The asset cache of a directory (protocol 6): fetching an asset, from the pin to its place on disk. Safe for any number
// of slots and processes; what must not outlive its holder is a lock.
import { mkdir, open, rename } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { abortable } from "../abortable.ts";
import type { CacheSettings, Credentials, OwnSettings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { CacheError, errorText } from "../errors.ts";
import { byteText } from "../ops/byte-text.ts";
import type { Logger } from "../ops/log.ts";
import { adoptAssets } from "./adopt.ts";
import { assetNameProblem } from "./asset-name.ts";
import { readNotes, writeNotes } from "./asset-notes.ts";
import { type AssetKey, assetPath, type CacheFolder, openCacheFolder, partialPath } from "./cache-folder.ts";
import type { CacheParts } from "./cache-parts.ts";
import { download } from "./download/download.ts";
import type { Downloaded, DownloadRequest } from "./download/download-request.ts";
import { removePartial } from "./download/partial-file.ts";
import { CacheIndex } from "./index/cache-index.ts";
import { findCopy } from "./known-copy.ts";
import { type Claim, claim } from "./locks/claims.ts";
import { takePermit } from "./locks/permits.ts";
import { pin } from "./locks/pins.ts";
import { makeRoom } from "./room.ts";

export interface AssetRequest extends AssetKey {
  readonly url: URL;
  readonly credentials: Credentials | undefined;
  /** Who uses it, for people: "slot 3, job 42". */
  readonly holder: string;
  /** Tries of the download in a row without a byte, the first included. */
  readonly tries: number;
  readonly onProgress?: NonNullable<DownloadRequest["onProgress"]>;
}

export interface CachedAsset {
  readonly path: string;
  readonly outcome: "fetched" | "unchanged";
  /** Of what was fetched; 0 when nothing was. */
  readonly sizeBytes: number;
  readonly seconds: number;
  /** Until it is released nobody purges the asset. */
  readonly pin: Claim;
}

export type CacheTiming = Pick<OwnSettings, "cache" | "timeouts">;

type Fetched = Extract<Downloaded, { kind: "fetched" }>;

export class AssetCache implements AsyncDisposable {
  readonly index: CacheIndex;
  private adopting: Promise<void> | undefined;

  private constructor(
    readonly folder: CacheFolder,
    readonly settings: CacheSettings,
    private readonly own: CacheTiming,
    log: Logger,
  ) {
    this.index = new CacheIndex(folder, { waitMs: own.cache.indexWaitMs }, log);
  }

  /** Makes what is missing of the directory. Throws `CacheError` when it cannot be used. */
  static async open(settings: CacheSettings, own: CacheTiming, log: Logger): Promise<AssetCache> {
    return new AssetCache(await openCacheFolder(settings.directory), settings, own, log);
  }

  get parts(): CacheParts {
    return {
      folder: this.folder,
      index: this.index,
      settings: this.settings,
      lockRetryMs: this.own.cache.lockRetryMs,
    };
  }

  /**
   * The asset as the server has it now. An asset that others fetch is waited for. Throws `AssetRefusedError`, or
   * `CacheError` for whatever else is wrong; an older copy stays then.
   */
  async get(request: AssetRequest, context: Context): Promise<CachedAsset> {
    const problem = assetNameProblem(request.name);
    if (problem !== undefined) throw new CacheError(`No asset can have this name: ${problem}`);
    await this.adoptOnce(context);
    const path = assetPath(this.folder, request);
    const held = await pin(this.folder, path, request.holder);
    try {
      const partial = partialPath(this.folder, path);
      await using _ = await claim(this.folder, partial, { retryMs: this.own.cache.lockRetryMs }, context);
      const startMs = performance.now();
      const sizeBytes = await this.fetch(request, path, partial, context);
      const outcome = sizeBytes === undefined ? "unchanged" : "fetched";
      const seconds = (performance.now() - startMs) / 1000;
      const rate = `${byteText((sizeBytes ?? 0) / Math.max(seconds, 0.001))}/s`;
      if (sizeBytes !== undefined)
        context.log.info(`Download of "${path}" successful (${rate}): ${byteText(sizeBytes)}`);
      return { path, outcome, sizeBytes: sizeBytes ?? 0, seconds, pin: held };
    } catch (error) {
      await held.release();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.index.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What a stock cache service has left, with the first request. What goes wrong with it is tried again. */
  private async adoptOnce(context: Context): Promise<void> {
    this.adopting ??= adoptAssets(this.parts, context);
    try {
      await abortable(this.adopting, context.signal);
    } catch (error) {
      this.adopting = undefined;
      context.signal.throwIfAborted();
      context.log.warn(`Not everything of the cache could be taken over: ${errorText(error)}`);
    }
  }

  /** Under the claim on the asset. Bytes that were fetched; undefined: the copy that there was is current. */
  private async fetch(
    request: AssetRequest,
    path: string,
    partial: string,
    context: Context,
  ): Promise<number | undefined> {
    const { log } = context;
    const row = await this.index.row(path, context);
    const copy = await findCopy(this.folder, path, row, context);
    let permit: Claim | undefined;
    const takePermitOnce = async () => {
      permit ??= await takePermit(this.folder, this.permitsOf(request.host), context);
    };
    try {
      // Whether a copy is up to date is asked at once: only what is to be transferred waits for its turn.
      if (copy?.etag === undefined) await takePermitOnce();
      log.info(`Downloading "${request.name}" from "${request.url}"`);
      const downloaded = await download(
        {
          ...request,
          etag: copy?.etag,
          partial,
          timing: { ...this.own.cache, answerMs: this.own.timeouts.answerMs },
          makeRoom: async (neededBytes, inner) => {
            await takePermitOnce();
            await makeRoom(this.parts, neededBytes, partial, inner);
          },
        },
        context,
      );
      if (downloaded.kind === "unchanged" && copy) {
        log.info(`Content of "${path}" has not changed, updating last use`);
        // A worker that was killed between the two has left a file without its row.
        if (row?.etag === copy.etag) await this.index.touch(path, context);
        else await this.index.store({ path, ...copy }, context);
        return undefined;
      }
      if (downloaded.kind === "unchanged") throw new CacheError(`"${request.name}" was not sent`);
      await this.place(path, partial, downloaded, context);
      return downloaded.sizeBytes;
    } finally {
      await permit?.release();
    }
  }

  /** A complete file becomes the asset: at any moment either the old or the new one is known by the notes. */
  private async place(path: string, partial: string, fetched: Fetched, context: Context): Promise<void> {
    const { kind: _, ...version } = fetched;
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeNotes(this.folder, path, [...(await readNotes(this.folder, path)), version]);
      // Its row would vouch for the new file with the old one's ETag, should this end here.
      await this.index.remove(path, context);
      await rename(partial, path);
      await flushFolder(dirname(path));
      await removePartial(partial);
    } catch (error) {
      const text = `Cannot put ${basename(path)} into ${dirname(path)}: ${errorText(error)}`;
      throw new CacheError(text, { cause: error });
    }
    await this.index.store({ path, ...version }, context);
    await writeNotes(this.folder, path, [version]);
  }

  private permitsOf(host: string) {
    return { host, count: this.settings.workers, retryMs: this.own.cache.lockRetryMs };
  }
}

/** Afterwards a rename in it survives a power failure. */
async function flushFolder(path: string): Promise<void> {
  await using folder = await open(path, "r");
  await folder.sync();
}
