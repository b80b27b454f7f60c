// A job with 500 screenshots: how long its end takes, what that costs, and how much goes to the web UI. They appear while
// the job runs, or all in its last second.
import { installDistribution, jobSettings } from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { isSecondStock, type Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { type OptipngUse, optipngOnCopies } from "../pictures/optipng.ts";
import { pictureSets } from "../pictures/picture-set.ts";
import { ScreenshotIsotovideo, type ScreenshotJob } from "../pictures/screenshot-isotovideo.ts";
import { runScreenshotJob, type ScreenshotRun } from "../pictures/screenshot-job.ts";
import { median } from "../statistics.ts";
import { each, type PerSide, passJob, sideNames, withBothWorkers } from "../two-sides.ts";
import { withServer } from "../with-server.ts";

const size = { pictures: 500, modules: 50 };
const maxRounds = 3;

interface Scenario {
  readonly name: string;
  readonly job: ScreenshotJob;
}

const duringJob: Scenario = {
  name: "over 2 min, half text",
  job: { ...size, kinds: ["desktop", "textmode"], seconds: 120, isAtEnd: false },
};
const inLastSecond: Scenario = {
  name: "in the last second",
  job: { ...size, kinds: ["desktop"], seconds: 0.9, isAtEnd: true },
};

export const part: BenchPart = {
  name: "screenshots",
  title: `A job with ${size.pictures} screenshots in ${size.modules} modules (at most ${maxRounds} rounds)`,
  minutes: 17,
  measure: (options) => withServer((server) => measure(server, options)),
};

/** What a scenario came to. */
class Found {
  readonly runs: PerSide<ScreenshotRun[]> = { stock: [], ours: [] };
  /** For a sample of the pictures, and their thumbnails. */
  optipng: (OptipngUse & { readonly pictures: number }) | undefined;

  constructor(readonly scenario: Scenario) {}
}

async function measure(server: OpenqaServer, { rounds, note }: BenchOptions): Promise<Measurement[]> {
  await installDistribution(server);
  const isotovideo = await ScreenshotIsotovideo.install(server, await pictureSets(note));
  const found = [new Found(duringJob), new Found(inLastSecond)];
  const count = Math.min(rounds, maxRounds);
  const measureRounds = async (workers: PerSide<Worker>) => {
    // The first job of a worker is its warm-up, without screenshots.
    for (const side of sideNames) await passJob(server, jobSettings("quick", side));
    for (let round = 1; round <= count; round++)
      for (const { scenario, runs } of found)
        for (const side of sideNames) {
          note(`${scenario.name}: ${side}, round ${round} of ${count}`);
          runs[side].push(await runScreenshotJob(server, workers[side], isotovideo, side, scenario.job));
        }
  };
  await withBothWorkers(server, async () => ({}), measureRounds);
  for (const one of found) {
    note(`${one.scenario.name}: optipng on a sample`);
    const [first] = one.runs.stock;
    if (first) one.optipng = await optipngOnCopies(isotovideo.keptFolder(first.job));
  }
  return found.flatMap(measurementsOf);
}

/** The side "optipng" is a stock worker that calls it, as newer ones do. */
function measurementsOf({ scenario, runs, optipng }: Found): Measurement[] {
  if (!optipng) return [];
  const { isAtEnd } = scenario.job;
  const scale = size.pictures / optipng.pictures;
  const withOptipng = (figure: (run: ScreenshotRun) => number, change: (stock: number) => number) => {
    const { stock, ours } = each(runs, figure);
    return { stock, optipng: [change(median(stock))], ours };
  };
  const name = (what: string) => `${scenario.name}: ${what}`;
  const seconds = ({ seconds: ofRun }: ScreenshotRun) => ofRun;
  return [
    {
      name: name("until done"),
      unit: "s",
      // How far one that optimises would be behind when the job ends is not known.
      sides: isAtEnd ? withOptipng(seconds, (stock) => stock + scale * optipng.seconds) : each(runs, seconds),
      aim: isAtEnd ? { ratio: 1 / 10, to: "optipng" } : { ratio: 1 / 4, to: "stock" },
      remark: remark(runs.ours, optipng.pictures),
    },
    {
      name: name("CPU"),
      unit: "s",
      sides: withOptipng(
        ({ cpuSeconds }) => cpuSeconds,
        (stock) => stock + scale * optipng.cpuSeconds,
      ),
    },
    {
      name: name("uploaded"),
      unit: "MB",
      sides: withOptipng(
        ({ bytes }) => bytes / 1e6,
        (stock) => (stock * optipng.bytesAfter) / optipng.bytesBefore,
      ),
    },
    {
      name: name("memory at most"),
      unit: "MB",
      sides: each(runs, ({ peakMb }) => peakMb),
      remark: "PSS of the worker side with its picture process or forks, looked at each 0.5 s",
    },
    ...lagMeasurements(runs.ours, name("event loop late")),
  ];
}

function lagMeasurements(ours: readonly ScreenshotRun[], name: string): Measurement[] {
  if (isSecondStock) return [];
  return (["p99", "max"] as const).map((which) => ({
    name: `${name} (${which})`,
    unit: "ms",
    // One that is missing is no number, and the part has failed.
    sides: { ours: ours.map(({ lag }) => lag?.[which] ?? Number.NaN) },
  }));
}

function remark(ours: readonly ScreenshotRun[], sample: number): string {
  const share = (100 * median(ours.map(({ unoptimised }) => unoptimised))).toFixed(0);
  return [
    "From isotovideo's end.",
    `${share} % of ours went out unoptimised.`,
    "The stock worker as installed never optimises.",
    `optipng: stock, and optipng -o2 once on ${sample} of the pictures with their thumbnails, scaled up.`,
  ].join(" ");
}
