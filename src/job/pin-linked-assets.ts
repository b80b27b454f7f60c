// The assets of a job that goes on from an earlier start of the worker: those that are only linked to are pinned again, as
// the pins of that start died with it. Hard links need none.
import { readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import { openCacheFolder } from "../cache/cache-folder.ts";
import { pin } from "../cache/locks/pins.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import type { JobInput } from "./job-in-progress.ts";

/** No job has more assets; a pool may have any number of links. */
const maxPins = 1000;

/** `held` takes the pins. Never throws. */
export async function pinLinkedAssets(
  { job, settings: { cache, instance, poolDirectory } }: JobInput,
  held: AsyncDisposableStack,
  { log }: Context,
): Promise<void> {
  if (!cache) return;
  try {
    const folder = await openCacheFolder(cache.directory);
    const entries = await readdir(poolDirectory, { withFileTypes: true });
    const links = entries.filter((entry) => entry.isSymbolicLink()).slice(0, maxPins);
    const targets = await Promise.all(links.map(({ name }) => readlink(join(poolDirectory, name))));
    const assets = targets.filter((path) => path.startsWith(`${folder.directory}/`));
    for (const path of assets) held.use(await pin(folder, path, `slot ${instance}, job ${job.id}`));
  } catch (error) {
    log.warn(`Cannot keep the cache from purging assets of job ${job.id}: ${errorText(error)}`);
  }
}
