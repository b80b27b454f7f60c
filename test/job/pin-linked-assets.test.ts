import { expect, test } from "bun:test";
import { link, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openCacheFolder } from "../../src/cache/cache-folder.ts";
import { allPins } from "../../src/cache/locks/pins.ts";
import { AssetCaches } from "../../src/cache/worker/asset-caches.ts";
import type { JobInput } from "../../src/job/job-in-progress.ts";
import { pinLinkedAssets } from "../../src/job/pin-linked-assets.ts";
import { JobHost, recordingContext } from "./job-host.ts";

async function hostWithCache() {
  const host = await JobHost.make({}, "[global]\nCACHEDIRECTORY = cache\n");
  const { cache } = host.settings;
  if (!cache) throw new Error("caching is off");
  const folder = await openCacheFolder(cache.directory);
  await mkdir(join(folder.directory, "ui"));
  for (const name of ["a.iso", "b.iso"]) await writeFile(join(folder.directory, "ui", name), name);
  return { host, folder };
}

function inputOf({ settings, program }: JobHost): JobInput {
  const parts = {
    job: { id: "7", settings: {}, received: {} },
    settings,
    program,
    caches: new AssetCaches(),
  };
  return parts as unknown as JobInput;
}

test("assets that the pool links to are pinned again until the job has ended, others are not", async () => {
  const { host, folder } = await hostWithCache();
  await using _ = host;
  await symlink(join(folder.directory, "ui/a.iso"), join(host.pool, "a.iso"));
  await link(join(folder.directory, "ui/b.iso"), join(host.pool, "b.iso"));
  await symlink("/etc/passwd", join(host.pool, "needles"));
  const held = new AsyncDisposableStack();
  await pinLinkedAssets(inputOf(host), held, recordingContext());
  const pin = { path: join(folder.directory, "ui/a.iso"), holder: "slot 1, job 7", pid: process.pid };
  expect(await allPins(folder)).toEqual([pin]);
  await held.disposeAsync();
  expect(await allPins(folder)).toEqual([]);
});

test("a cache that cannot be used is said, and ends nothing", async () => {
  const { host, folder } = await hostWithCache();
  await using _ = host;
  await Bun.$`rm -r ${folder.directory}`;
  await writeFile(folder.directory, "a file");
  const context = recordingContext();
  await using held = new AsyncDisposableStack();
  await pinLinkedAssets(inputOf(host), held, context);
  expect(context.lines.join("\n")).toContain("Cannot keep the cache from purging assets of job 7");
});
