// What the worker itself adds to a job: (job sent to it → isotovideo started) + (isotovideo ended → set_done
// answered), for a job without a VM, stock worker and ours in turn on one server; and how much of that the server's
// own answers take.
//   bun run test/bench/overhead.ts [JOBS PER SIDE, default 7]
import { installDistribution, jobSettings, jobState, postJob, waitForEnd } from "../e2e/jobs.ts";
import type { OpenqaServer } from "../e2e/server.ts";
import { startOurWorker, startStockWorker, type Worker } from "../e2e/workers.ts";
import { type Comparison, printComparisons } from "./table.ts";
import {
  covered,
  installWrapper,
  isotovideoSpan,
  requestsOf,
  type WebsocketTap,
  withTappedServer,
} from "./timing.ts";

interface Overhead {
  /** Job sent → isotovideo started, in milliseconds, as all here. */
  readonly before: number;
  /** isotovideo ended → set_done answered. */
  readonly after: number;
  readonly total: number;
  /** Part of the total in which the server was answering a request. */
  readonly server: number;
}

const count = Number(process.argv[2] ?? 7);
const sides = ["stock", "ours"] as const;
await withTappedServer(measure);

async function measure(server: OpenqaServer, tap: WebsocketTap): Promise<void> {
  await installDistribution(server);
  const isotovideo = await installWrapper(server);
  const options = (workerClass: string) => ({ instance: server.takeInstances(1), workerClass });
  const stock = await startStockWorker(server, options("stock"));
  const ours = await startOurWorker(server, options("ours"));
  const workers = { stock, ours };
  const found: Record<(typeof sides)[number], Overhead[]> = { stock: [], ours: [] };
  try {
    // The first of each is a warm-up.
    for (let round = 0; round <= count; round++) {
      for (const side of sides) {
        const one = await runQuickJob(server, tap, workers[side], side, isotovideo);
        if (round > 0) found[side].push(one);
      }
    }
  } finally {
    await Promise.all([stock.stop(), ours.stop()]);
  }
  print(found);
}

async function runQuickJob(
  server: OpenqaServer,
  tap: WebsocketTap,
  worker: Worker,
  workerClass: string,
  isotovideo: string,
): Promise<Overhead> {
  const id = await postJob(server, { ...jobSettings("quick", workerClass), ISOTOVIDEO: isotovideo });
  await waitForEnd(server, id);
  const { result, reason } = await jobState(server, id);
  if (result !== "passed") throw new Error(`job ${id} of ${workerClass}: ${result} ${reason}`);
  const sent = tap.grabTime(id);
  const ran = await isotovideoSpan(worker);
  const requests = await requestsOf(server, id);
  const answered = requests.find(({ isLast }) => isLast)?.to ?? Number.NaN;
  const spans = [
    { from: sent, to: ran.from },
    { from: ran.to, to: answered },
  ];
  const [before = Number.NaN, after = Number.NaN] = spans.map(({ from, to }) => to - from);
  const waited = spans.map((span) => covered(span, requests)).reduce((sum, one) => sum + one, 0);
  return { before, after, total: before + after, server: waited };
}

function print(found: Record<(typeof sides)[number], readonly Overhead[]>): void {
  console.log(`\nOverhead of a quick job in ms, n = ${count} per side, in turn`);
  const values = (side: (typeof sides)[number], key: keyof Overhead) => found[side].map((one) => one[key]);
  const row = (name: string, key: keyof Overhead): Comparison => ({
    name,
    stock: values("stock", key),
    ours: values("ours", key),
  });
  printComparisons([
    row("job sent to isotovideo started", "before"),
    row("isotovideo ended to set_done answered", "after"),
    row("sum", "total"),
    row("of which the server answers", "server"),
  ]);
}
