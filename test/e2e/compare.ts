// What two jobs of the same test left, compared; and what a job left on the server, compared with its pool directory.
// Differences come out in words, none means equal.
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import type { JobReport, Step } from "./jobs.ts";
import type { OpenqaServer } from "./server.ts";

/** How far two runs can be expected to be alike: those that are interrupted stop at different steps. */
export type Depth = "steps" | "modules";

export function differences(stock: JobReport, ours: JobReport, depth: Depth): string[] {
  const [left, right] = [comparable(stock, depth), comparable(ours, depth)];
  return Object.keys(left)
    .flatMap((key) => {
      const [expected, found] = [left[key], right[key]];
      if (JSON.stringify(expected) === JSON.stringify(found)) return [];
      return `${key}: the stock worker's job has ${JSON.stringify(expected)}, ours ${JSON.stringify(found)}`;
    })
    .concat(
      Object.keys(right)
        .filter((key) => !(key in left))
        .map((key) => `${key}: only our job has it`),
    );
}

/** Values by name, without what differs from run to run: numbers of jobs, names of builds, pictures themselves. */
function comparable(job: JobReport, depth: Depth): Record<string, unknown> {
  const neutral = (text: string) =>
    text.replaceAll(String(job.id).padStart(8, "0"), "JOB").replaceAll(job.build, "BUILD");
  const modules = job.modules.flatMap(({ name, category, result, steps }): [string, unknown][] => [
    [`module ${name}`, { category, result }],
    ...(depth === "steps"
      ? steps.map((step, index): [string, unknown] => [`step ${index + 1} of ${name}`, comparableStep(step)])
      : []),
  ]);
  return {
    result: job.result,
    state: job.state,
    reason: job.reason,
    "has a clone": job.cloneId !== undefined,
    "order of modules": job.modules.map(({ name }) => name),
    ...Object.fromEntries(modules),
    logs: job.logs,
    ulogs: job.ulogs,
    assets: job.assets.map(neutral),
    ...(depth === "steps" ? { "files on the server": job.files.map(neutral) } : {}),
  };
}

function comparableStep({ title, result, needle, tags, picture, text }: Step): unknown {
  return { title, result, needle, tags: tags.toSorted(), picture: picture?.name, text };
}

/**
 * What a job left on the server against its pool directory (which must have been kept): pictures, texts, user logs and
 * assets.
 * @param isOptimisedInPlace the stock worker rewrites pictures in the pool after it has computed their md5
 */
export async function differencesFromPool(
  server: OpenqaServer,
  job: JobReport,
  pool: string,
  isOptimisedInPlace: boolean,
): Promise<string[]> {
  const results = join(pool, "testresults");
  const steps = job.modules.flatMap((module) => module.steps);
  const pictures = steps.flatMap(({ picture }) => picture ?? []);
  const texts = steps.flatMap(({ text }) => text ?? []);
  const found: string[] = [];

  const expected = (await readdir(results)).filter((name) => /\.(png|txt)$/.test(name)).toSorted();
  const named = [...new Set([...pictures, ...texts].map(({ name }) => name))].toSorted();
  if (!Bun.deepEquals(expected, named)) found.push(`results: the pool has ${expected}, the server ${named}`);

  for (const { name, md5, path } of pictures) {
    const original = await readFile(join(results, name));
    const uploaded = await server.api.download(path);
    if (!isOptimisedInPlace && createHash("md5").update(original).digest("hex") !== md5) {
      found.push(`picture ${name}: its md5 on the server is ${md5}, which is not that of the pool's file`);
    }
    if (!(await haveSamePixels(original, uploaded)))
      found.push(`picture ${name}: other pixels on the server`);
  }
  for (const { name, content } of texts) {
    const original = await readFile(join(results, name), "utf8");
    if (original !== content) found.push(`text ${name}: the pool has ${original}, the server ${content}`);
  }
  return found.concat(await differentFiles(server, job, pool));
}

async function differentFiles(server: OpenqaServer, job: JobReport, pool: string): Promise<string[]> {
  const found: string[] = [];
  const check = async (folder: string, pathOf: (name: string) => string) => {
    for (const name of await readdir(join(pool, folder))) {
      const path = pathOf(name);
      const [original, uploaded] = await Promise.all([
        readFile(join(pool, folder, name)),
        server.api.download(path),
      ]);
      if (!original.equals(uploaded)) found.push(`${path}: not the bytes of ${folder}/${name} in the pool`);
    }
  };
  const typeOf = (name: string) => (name.endsWith(".qcow2") ? "hdd" : "other");
  const privateName = (name: string) => `${String(job.id).padStart(8, "0")}-${name}`;
  await check("ulogs", (name) => `/tests/${job.id}/file/${name}`);
  await check("assets_public", (name) => `/tests/${job.id}/asset/${typeOf(name)}/${name}`);
  await check("assets_private", (name) => `/tests/${job.id}/asset/${typeOf(name)}/${privateName(name)}`);
  return found;
}

async function haveSamePixels(one: Uint8Array, other: Uint8Array): Promise<boolean> {
  const [left, right] = await Promise.all(
    [one, other].map((png) => sharp(png).raw().toBuffer({ resolveWithObject: true })),
  );
  return (
    left !== undefined &&
    right !== undefined &&
    left.info.width === right.info.width &&
    left.info.height === right.info.height &&
    left.data.equals(right.data)
  );
}
