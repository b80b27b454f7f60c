// The pictures of a job as the web UI has stored them.
import { createHash } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { readJob } from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { expectSamePixels } from "./tinycv.ts";

export interface StoredPictures {
  readonly count: number;
  /** Thumbnails included. */
  readonly bytes: number;
  /** Of the pictures, how many are stored as they were written. */
  readonly unoptimised: number;
}

/**
 * Throws unless there are `count`, each with its thumbnail, and those that were kept have the pixels that they had.
 * `keptFolder`: some of them as they were written.
 */
export async function readStoredPictures(
  server: OpenqaServer,
  job: number,
  count: number,
  keptFolder: string,
): Promise<StoredPictures> {
  const { modules } = await readJob(server, job);
  const steps = modules.flatMap(({ steps: ofModule }) => ofModule.map(({ picture }) => picture));
  const pictures = steps.filter((picture) => picture !== undefined);
  const known = new Map(pictures.map(({ name, md5, path }) => [name, { md5, path: pathOf(server, path) }]));
  if (known.size !== count)
    throw new Error(`job ${job} has ${known.size} pictures on the web UI, not ${count}`);
  let bytes = 0;
  let unoptimised = 0;
  for (const { md5, path } of known.values()) {
    const [picture, thumbnail] = await Promise.all([readFile(path), readFile(thumbnailOf(path))]);
    bytes += picture.length + thumbnail.length;
    if (createHash("md5").update(picture).digest("hex") === md5) unoptimised++;
  }
  const kept = (await readdir(keptFolder)).filter((name) => name.endsWith(".png"));
  const pairs = kept.map((name): [string, string] => [join(keptFolder, name), known.get(name)?.path ?? ""]);
  await expectSamePixels([
    ...pairs,
    ...pairs.map(([one, other]): [string, string] => [thumbnailOf(one), thumbnailOf(other)]),
  ]);
  return { count: known.size, bytes, unoptimised };
}

/** Those of all jobs: they are new ones in each job, and many. */
export async function removeStoredPictures(server: OpenqaServer): Promise<void> {
  const folder = join(server.projectFolder, "images");
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
}

/** `url`: below the web UI's. */
function pathOf(server: OpenqaServer, url: string): string {
  return join(server.projectFolder, "images", url.slice("/image/".length));
}

function thumbnailOf(picture: string): string {
  return picture.replace(/[^/]+$/, ".thumbs/$&");
}
