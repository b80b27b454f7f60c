// How long a job with an ISO of 5 MB and a test sync waits for its isotovideo (job sent to the worker → isotovideo
// started): with an empty cache and with one that has all, the stock worker with its cache service and ours in turn on
// one server.
//   bun run test/bench/cold-cache.ts [ROUNDS, default 7]
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { installDistribution, jobSettings, jobState, postJob, waitForEnd } from "../e2e/jobs.ts";
import type { OpenqaServer } from "../e2e/server.ts";
import { makeCacheDirectory } from "../e2e/worker-folder.ts";
import { startOurWorker, startStockWorker, type Worker } from "../e2e/workers.ts";
import { printComparisons } from "./table.ts";
import { installWrapper, isotovideoSpan, type WebsocketTap, withTappedServer } from "./timing.ts";

const count = Number(process.argv[2] ?? 7);
const sides = ["stock", "ours"] as const;
type Side = (typeof sides)[number];

await withTappedServer(measure);

async function measure(server: OpenqaServer, tap: WebsocketTap): Promise<void> {
  await installDistribution(server);
  const isotovideo = await installWrapper(server);
  const options = async (side: Side) => ({
    instance: server.takeInstances(1),
    workerClass: side,
    cache: { directory: await makeCacheDirectory(server, side) },
  });
  const workers = {
    stock: await startStockWorker(server, await options("stock")),
    ours: await startOurWorker(server, await options("ours")),
  };
  const cold: Record<Side, number[]> = { stock: [], ours: [] };
  const warm: Record<Side, number[]> = { stock: [], ours: [] };
  const run = (side: Side) => runJob(server, tap, workers[side], side, isotovideo);
  try {
    // The first of each is a warm-up.
    for (let round = 0; round <= count; round++) {
      for (const side of sides) {
        await emptyCache(workers[side]);
        const times = [await run(side), await run(side)] as const;
        if (round === 0) continue;
        cold[side].push(times[0]);
        warm[side].push(times[1]);
      }
    }
  } finally {
    await Promise.all(sides.map((side) => workers[side].stop()));
  }
  console.log(`\nJob sent to isotovideo started in ms, n = ${count} per side, in turn`);
  printComparisons([
    { name: "empty cache", ...cold },
    { name: "everything cached", ...warm },
  ]);
}

/** Assets and tests go, as if somebody had removed the files; a download has nothing to start from. */
async function emptyCache({ cacheDirectory }: Worker): Promise<void> {
  const folder = join(cacheDirectory ?? "", "127.0.0.1");
  for (const name of await readdir(folder).catch(() => []))
    await rm(join(folder, name), { recursive: true, force: true });
}

/** Returns how long isotovideo was waited for, in milliseconds. */
async function runJob(
  server: OpenqaServer,
  tap: WebsocketTap,
  worker: Worker,
  workerClass: string,
  isotovideo: string,
): Promise<number> {
  const settings = {
    ...jobSettings("quick", workerClass),
    ISO: "grub-rescue-cdrom.iso",
    ISOTOVIDEO: isotovideo,
  };
  const id = await postJob(server, settings);
  await waitForEnd(server, id);
  const { result, reason } = await jobState(server, id);
  if (result !== "passed") throw new Error(`job ${id} of ${workerClass}: ${result} ${reason}`);
  return (await isotovideoSpan(worker)).from - tap.grabTime(id);
}
