// What making pictures smaller takes from the system under test: work that keeps all cores busy, with and without the
// picture process at its full queue beside it.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { GrubMachine, showsMenu } from "../pictures/grub-machine.ts";
import { PictureFeed } from "../pictures/picture-feed.ts";
import { type PictureSet, pictureSets } from "../pictures/picture-set.ts";
import { median } from "../statistics.ts";

const sides = ["without", "ours"] as const;
const cores = cpus().length;
const countingSeconds = 6;
const boots = 4;
/** It starts, and is at work. */
const warmUpPictures = 4;

export const part: BenchPart = {
  name: "effect",
  title: "What making pictures smaller takes from work on all cores",
  minutes: 2,
  measure,
};

interface Effect {
  /** For a million steps on a core. */
  readonly countingMs: number;
  /** As many VMs as cores, without KVM, from their start to the menu of their boot loader, several times. */
  readonly bootSeconds: number;
  /** Made smaller meanwhile. */
  readonly picturesPerSecond: number;
}

async function measure({ rounds, note }: BenchOptions): Promise<Measurement[]> {
  const set = (await pictureSets(note)).find(({ kind }) => kind === "desktop");
  if (!set) throw new Error("there is no set of desktops");
  const folder = await mkdtemp(join(tmpdir(), "openqa-worker-bench-"));
  const found = { without: [] as Effect[], ours: [] as Effect[] };
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const side of sides) {
        note(`${side}, round ${round} of ${rounds}`);
        const ofRound = join(folder, `${side}-${round}`);
        await mkdir(ofRound);
        found[side].push(side === "ours" ? await besideFeed(ofRound, set) : await work(ofRound, () => 0));
        await rm(ofRound, { recursive: true });
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return measurementsOf(found);
}

async function besideFeed(folder: string, set: PictureSet): Promise<Effect> {
  await using feed = await PictureFeed.start(join(folder, "pool"), set);
  await feed.optimise(warmUpPictures);
  return await Promise.race([work(folder, () => feed.answered), feed.optimiseWithoutEnd()]);
}

async function work(folder: string, pictures: () => number): Promise<Effect> {
  const before = pictures();
  const startMs = performance.now();
  const countingMs = await count();
  let bootSeconds = 0;
  for (let boot = 0; boot < boots; boot++) bootSeconds += await bootAll(join(folder, `boot-${boot}`));
  const picturesPerSecond = ((pictures() - before) * 1000) / (performance.now() - startMs);
  return { countingMs, bootSeconds, picturesPerSecond };
}

/** A process for each core, in one session as those of a job. */
async function count(): Promise<number> {
  const script = `use Time::HiRes 'time';
    for (1 .. ${cores}) {
      next if fork;
      my ($end, $steps) = (time + ${countingSeconds}, 0);
      while (time < $end) { $steps++ for 1 .. 100_000 }
      print "$steps\n";
      exit;
    }
    1 while wait > 0;`;
  const child = Bun.spawn(["perl", "-e", script], { stdio: ["ignore", "pipe", "inherit"], detached: true });
  const counts = (await new Response(child.stdout).text()).trim().split("\n").map(Number);
  if (counts.length !== cores) throw new Error(`${cores} processes were to count, ${counts.length} did`);
  const steps = counts.reduce((sum, one) => sum + one, 0);
  return (cores * countingSeconds * 1000) / (steps / 1e6);
}

async function bootAll(folder: string): Promise<number> {
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: cores }, async (_, index) => {
      const ofMachine = join(folder, `vm-${index}`);
      await mkdir(ofMachine, { recursive: true });
      const machine = await GrubMachine.start(ofMachine);
      try {
        await machine.untilShows(showsMenu);
      } finally {
        await machine.stop();
      }
    }),
  );
  return (performance.now() - startMs) / 1000;
}

function measurementsOf(found: Readonly<Record<(typeof sides)[number], readonly Effect[]>>): Measurement[] {
  const values = (key: keyof Effect) => ({
    without: found.without.map((one) => one[key]),
    ours: found.ours.map((one) => one[key]),
  });
  const rate = median(values("picturesPerSecond").ours).toFixed(1);
  return [
    {
      name: `counting on ${cores} cores, a million steps`,
      unit: "ms",
      sides: values("countingMs"),
      remark: `Beside it and the VMs ${rate} pictures a second were made smaller.`,
    },
    { name: `${cores} VMs until their boot menu, ${boots} times`, unit: "s", sides: values("bootSeconds") },
  ];
}
