// Live view: a new picture of the screen is there → somebody who watches the job in a browser gets it. What isotovideo
// does while a job is watched is done beside it, at a known time: a picture each 0.7 s.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Browser, type EventStream } from "../../e2e/browser.ts";
import { installDistribution, jobSettings, postJob, waitForEnd, waitUntilRuns } from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import type { Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { installIsotovideoWith } from "../isotovideo-with.ts";
import { expectPassed } from "../job-answer.ts";
import { type PerSide, type SideName, sideNames, withBothWorkers } from "../two-sides.ts";
import { withServer } from "../with-server.ts";

const screen = fileURLToPath(new URL("../../e2e/casedir/needles/grub-menu.png", import.meta.url));
/** As large as a desktop's. */
const padBytes = 100_000;
const pictureSeconds = 0.7;
const watchSecondsPerRound = 8;
/** Beyond watching: until the web UI knows that the job runs, and the viewer has come. */
const spareSeconds = 15;
const lookMs = 5;

export const part: BenchPart = {
  name: "live-view",
  title: `Live view: picture written until a browser has it (one job a side, ${watchSecondsPerRound} s a round)`,
  minutes: 2,
  measure: (options) =>
    // A viewer takes up one process of the web UI.
    withServer((server) => measure(server, options), { webUiProcesses: 8 }),
};

async function measure(server: OpenqaServer, { rounds, note }: BenchOptions): Promise<Measurement[]> {
  await installDistribution(server);
  const watchSeconds = rounds * watchSecondsPerRound;
  const pictures = await makePictures(server, Math.ceil((watchSeconds + spareSeconds) / pictureSeconds));
  const found: Record<SideName, Shown> = { stock: nothing, ours: nothing };
  await withBothWorkers(
    server,
    async () => ({}),
    async (workers) => {
      for (const side of sideNames) {
        note(`job of ${side} is watched for ${watchSeconds} s`);
        found[side] = await watchJob(server, workers[side], side, pictures, watchSeconds);
      }
    },
  );
  return [measurementOf(found)];
}

function measurementOf({ stock, ours }: PerSide<Shown>): Measurement {
  const shares = [stock, ours].map(({ latenciesMs, written }) => `${latenciesMs.length} of ${written}`);
  return {
    name: "picture written until shown",
    unit: "ms",
    sides: { stock: stock.latenciesMs, ours: ours.latenciesMs },
    remark:
      `of those that were shown before the next one was there: stock ${shares[0]}, ours ${shares[1]}. ` +
      "The web UI looks each 0.3 s whether there is a new one.",
  };
}

interface Pictures {
  /** With 1.png, 2.png and so on. */
  readonly folder: string;
  /** Their numbers by what a browser gets. */
  readonly numbers: ReadonlyMap<string, number>;
}

/** The same screen again and again, and still no two are equal: what comes after its end is part of the file. */
async function makePictures(server: OpenqaServer, count: number): Promise<Pictures> {
  const folder = join(server.folder, "screens");
  await mkdir(folder);
  const png = await readFile(screen);
  const numbers = new Map<string, number>();
  for (let number = 1; number <= count; number++) {
    const picture = Buffer.concat([png, crypto.getRandomValues(new Uint8Array(padBytes - png.length))]);
    await writeFile(join(folder, `${number}.png`), picture);
    numbers.set(`data:image/png;base64,${picture.toString("base64")}`, number);
  }
  return { folder, numbers };
}

interface Shown {
  readonly latenciesMs: readonly number[];
  /** From the first that was shown to the last, both included. */
  readonly written: number;
}
const nothing: Shown = { latenciesMs: [], written: 0 };

async function watchJob(
  server: OpenqaServer,
  worker: Worker,
  side: SideName,
  pictures: Pictures,
  watchSeconds: number,
): Promise<Shown> {
  const settings = {
    ...jobSettings("rest", side),
    REST_SECONDS: String(watchSeconds + spareSeconds),
    ISOTOVIDEO: await installIsotovideoWith(server, side, { before: showing(pictures) }),
  };
  const id = await postJob(server, settings);
  await waitUntilRuns(server, id, "rest");
  const stream = (await Browser.logIn(server)).follow(`/tests/${id}/streaming`);
  const shown = await watch(stream, pictures, watchSeconds);
  await stream.close();
  await waitForEnd(server, id);
  await expectPassed(server, id);
  const written = await writtenTimes(worker);
  const numbers = [...shown.keys()];
  return {
    latenciesMs: [...shown].map(([number, atMs]) => atMs - (written.get(number) ?? Number.NaN)),
    written: Math.max(...numbers) - Math.min(...numbers) + 1,
  };
}

/** In the background, as isotovideo's video encoder does it while somebody watches. */
function showing({ folder, numbers }: Pictures): string {
  return `for number in {1..${numbers.size}}; do
    sleep ${pictureSeconds}
    [ -e live_log ] || continue
    cp ${folder}/$number.png qemuscreenshot/shot-$number.png
    ln -sf shot-$number.png qemuscreenshot/last.png
    echo "$number $EPOCHREALTIME" >>"$PWD/../written-\${PWD##*/}"
done &`;
}

/** When each picture that has come did, in milliseconds since the epoch. */
async function watch(
  stream: EventStream,
  { numbers }: Pictures,
  seconds: number,
): Promise<Map<number, number>> {
  const shown = new Map<number, number>();
  let seen = 0;
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await Bun.sleep(lookMs)) {
    for (; seen < stream.events.length; seen++) {
      const number = numbers.get(stream.events[seen] ?? "");
      if (number !== undefined) shown.set(number, Date.now());
    }
  }
  return shown;
}

async function writtenTimes(worker: Worker): Promise<Map<number, number>> {
  const notes = await readFile(join(worker.poolFolder(), "..", `written-${worker.instances[0]}`), "utf8");
  const lines = notes.split("\n").map((line) => line.split(" ").map(Number));
  return new Map(lines.map(([number = 0, seconds = 0]) => [number, seconds * 1000]));
}
