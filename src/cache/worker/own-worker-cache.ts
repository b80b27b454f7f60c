// Caching with a directory of the worker's own.
import { join } from "node:path";
import type { CacheSettings, OwnSettings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { AssetRefusedError, CacheError, errorText } from "../../errors.ts";
import { openNameless } from "../../ops/nameless-file.ts";
import { statIfThere } from "../../ops/stat-if-there.ts";
import type { AssetCache } from "../asset-cache.ts";
import { jobAssetUrl } from "../asset-name.ts";
import { type CacheFolder, openCacheFolder, testsFolderName } from "../cache-folder.ts";
import { cacheHostName } from "../host-name.ts";
import { waitingDownloads } from "../locks/permits.ts";
import { makeRoom } from "../room.ts";
import { syncTests } from "../sync/sync-tests.ts";
import { type CacheUser, failedDownload, type WantedAsset, type WorkerCache } from "./worker-cache.ts";

/** What the disk must take: a file as small as the notes of an asset. */
const probeBytes = 64 * 1024;

export class OwnWorkerCache implements WorkerCache {
  constructor(
    private readonly settings: CacheSettings,
    private readonly own: Pick<OwnSettings, "cache">,
    private readonly cache: AssetCache,
  ) {}

  async findProblem(context: Context): Promise<string | undefined> {
    try {
      // Looked at anew: the disk may be gone since.
      const folder = await openCacheFolder(this.settings.directory);
      await assertIndexIsFile(folder);
      await this.assertWritable(folder, context);
      await this.assertNotFull(this.settings.maxWaiting);
      return undefined;
    } catch (error) {
      context.signal.throwIfAborted();
      return `Worker cache not available: ${errorText(error)}`;
    }
  }

  async fetchAsset(
    asset: WantedAsset,
    user: CacheUser,
    held: AsyncDisposableStack,
    context: Context,
  ): Promise<string> {
    await this.assertNotFull(this.settings.maxWaitingOfJob);
    const { name } = asset;
    const { host, url, credentials, holder } = user;
    const request = {
      url: jobAssetUrl(url, asset),
      credentials,
      host: cacheHostName(host),
      name,
      holder,
      // A web UI that is away never ends a job: only its time limit does.
      tries: Number.POSITIVE_INFINITY,
    };
    try {
      const cached = await this.cache.get(request, context);
      if (!held.disposed) held.use(cached.pin);
      else await cached.pin.release();
      return cached.path;
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      const text = failedDownload(this.settings, user, name);
      if (error instanceof AssetRefusedError)
        throw new AssetRefusedError(text, error.status, { cause: error });
      throw new CacheError(`${text}: ${error.message}`, { cause: error });
    }
  }

  async syncTests(source: string, user: CacheUser, context: Context): Promise<string> {
    const hostDirectory = join(this.settings.testsDirectory, cacheHostName(user.host));
    const { folder } = this.cache;
    const { lockRetryMs } = this.own.cache;
    const options = { folder, settings: this.settings.sync, lockRetryMs, environment: user.environment };
    await syncTests({ source, hostDirectory }, options, context);
    return join(hostDirectory, testsFolderName);
  }

  private async assertNotFull(maxWaiting: number): Promise<void> {
    if ((await waitingDownloads(this.cache.folder)) > maxWaiting)
      throw new CacheError(`Cache service queue already full (${maxWaiting})`);
  }

  /** A full disk is no problem as long as there is something to purge. */
  private async assertWritable(folder: CacheFolder, context: Context): Promise<void> {
    try {
      await probe(folder);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
      await makeRoom(this.cache.parts, probeBytes, undefined, context)
        .then(() => probe(folder))
        .catch((failure) => {
          context.signal.throwIfAborted();
          const text = `the disk of ${folder.directory} is full, and nothing can be purged that no job uses`;
          throw new CacheError(text, { cause: failure });
        });
    }
  }
}

/** Any file can be repaired; what else has its name is for people to remove. */
async function assertIndexIsFile({ indexFile }: CacheFolder): Promise<void> {
  const stats = await statIfThere(indexFile);
  if (stats && !stats.isFile()) throw new CacheError(`The index ${indexFile} is no file: remove it`);
}

/** Writes a small file that has no name any more. */
async function probe({ directory, partialFolder }: CacheFolder): Promise<void> {
  try {
    await using file = await openNameless(partialFolder);
    await file.writeFile(Buffer.alloc(probeBytes));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? { code: error.code } : {};
    throw Object.assign(new CacheError(`${directory} cannot be written to: ${errorText(error)}`), code);
  }
}
