// What it costs to make pictures smaller, and how small they become: optipng as newer stock workers call it, and our
// picture process.
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { type OptipngUse, runOptipng } from "../pictures/optipng.ts";
import { type Optimised, PictureFeed } from "../pictures/picture-feed.ts";
import { type PictureSet, pictureSets } from "../pictures/picture-set.ts";
import { expectSamePixels } from "../pictures/tinycv.ts";

/** Before the process is measured: it starts and loads its libraries with them. */
const warmUpPictures = 4;
/** How often a set is gone through in one sample, so that CPU time, told in 10 ms, is told exactly enough. */
const passes = { desktop: 1, textmode: 4 };
/** optipng's CPU time that ours may take. */
const cpuAims = { desktop: 1 / 4, textmode: 1 / 2 };

const remark =
  "CPU is the mean over the set (in brackets: who made it, and its size), without the start of our process and its first " +
  `${warmUpPictures} pictures. All pixels are the same.`;

export const part: BenchPart = {
  name: "pictures",
  title: "Making pictures smaller (optipng: once)",
  minutes: 2.5,
  measure,
};

async function measure(options: BenchOptions): Promise<Measurement[]> {
  const folder = await mkdtemp(join(tmpdir(), "openqa-worker-bench-"));
  try {
    const measurements: Measurement[] = [];
    for (const set of await pictureSets(options.note))
      measurements.push(...(await measureSet(set, join(folder, `${set.kind}-${set.origin}`), options)));
    const [first, ...others] = measurements;
    return first ? [{ ...first, remark }, ...others] : [];
  } finally {
    await rm(folder, { recursive: true });
  }
}

interface OurUse {
  readonly cpuSeconds: number;
  readonly bytesAfter: number;
}

async function measureSet(
  set: PictureSet,
  folder: string,
  { rounds, note }: BenchOptions,
): Promise<Measurement[]> {
  const name = `${set.kind} (${set.origin}, ${set.names.length})`;
  note(`${name}: optipng`);
  const optipng = await measureOptipng(set, join(folder, "optipng"));
  const ours: OurUse[] = [];
  for (let round = 1; round <= rounds; round++) {
    note(`${name}: ours, round ${round} of ${rounds}`);
    const pool = join(folder, `pool-${round}`);
    const { cpuSeconds, optimised } = await measureOurs(set, pool);
    if (round === 1) await expectSamePixels(optimised.map(({ original, result }) => [original, result]));
    ours.push({ cpuSeconds, bytesAfter: optimised.reduce((sum, { bytesAfter }) => sum + bytesAfter, 0) });
    await rm(pool, { recursive: true });
  }
  return measurementsOf(name, set, optipng, ours);
}

async function measureOptipng({ folder, names }: PictureSet, copies: string): Promise<OptipngUse> {
  await mkdir(copies, { recursive: true });
  for (const name of names) await copyFile(join(folder, name), join(copies, name));
  return await runOptipng(names.map((name) => join(copies, name)));
}

/** CPU seconds for the set once. */
async function measureOurs(
  set: PictureSet,
  pool: string,
): Promise<{ cpuSeconds: number; optimised: Optimised[] }> {
  await using feed = await PictureFeed.start(pool, set);
  await feed.optimise(warmUpPictures);
  const before = await feed.cpuSeconds();
  let optimised: Optimised[] = [];
  for (let pass = 0; pass < passes[set.kind]; pass++) optimised = await feed.optimise();
  return { cpuSeconds: ((await feed.cpuSeconds()) - before) / passes[set.kind], optimised };
}

function measurementsOf(
  name: string,
  { kind, names }: PictureSet,
  optipng: OptipngUse,
  ours: readonly OurUse[],
): Measurement[] {
  const perPictureMs = ({ cpuSeconds }: { cpuSeconds: number }) => (1000 * cpuSeconds) / names.length;
  const size = ({ bytesAfter }: { bytesAfter: number }) => bytesAfter / optipng.bytesBefore;
  return [
    {
      name: `CPU per picture, ${name}`,
      unit: "ms",
      sides: { optipng: [perPictureMs(optipng)], ours: ours.map(perPictureMs) },
      aim: { ratio: cpuAims[kind], to: "optipng" },
    },
    {
      name: `bytes after / before, ${name}`,
      unit: "ratio",
      sides: { optipng: [size(optipng)], ours: ours.map(size) },
      aim: { ratio: 1, to: "optipng" },
    },
  ];
}
