// What the worker itself adds to a job: (job sent to it → isotovideo started) + (isotovideo ended → set_done
// answered), for a job without a VM, stock worker and ours in turn on one server; and how much of that the server's
// own answers take.
//   bun run test/bench/overhead.ts [JOBS PER SIDE, default 7]
import { installDistribution, jobSettings, jobState, postJob, waitForEnd } from "../e2e/jobs.ts";
import { freePorts } from "../e2e/ports.ts";
import { type OpenqaServer, startServer } from "../e2e/server.ts";
import { startOurWorker, startStockWorker, type Worker } from "../e2e/workers.ts";
import { median, printTable } from "./table.ts";
import { covered, installWrapper, isotovideoSpan, requestsOf, WebsocketTap } from "./timing.ts";

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
let tap: WebsocketTap | undefined;
const tapPort = await freePorts(1);
const server = await startServer({
  websocketVia(port) {
    tap = WebsocketTap.listen(tapPort, port);
    return tapPort;
  },
});
try {
  await measure(server);
} finally {
  await server.stop();
  tap?.close();
}

async function measure(server: OpenqaServer): Promise<void> {
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
        const one = await runQuickJob(server, workers[side], side, isotovideo);
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
  worker: Worker,
  workerClass: string,
  isotovideo: string,
): Promise<Overhead> {
  const id = await postJob(server, { ...jobSettings("quick", workerClass), ISOTOVIDEO: isotovideo });
  await waitForEnd(server, id);
  const { result, reason } = await jobState(server, id);
  if (result !== "passed") throw new Error(`job ${id} of ${workerClass}: ${result} ${reason}`);
  const sent = tap?.grabTime(id) ?? Number.NaN;
  const ran = await isotovideoSpan(server, worker.instances[0] ?? 0);
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
  const row = (name: string, key: keyof Overhead) => {
    const [stock, ours] = [values("stock", key), values("ours", key)];
    const middle = [median(stock), median(ours)] as const;
    return [name, Math.min(...stock), middle[0], Math.min(...ours), middle[1], middle[1] / middle[0]];
  };
  printTable(
    ["", "stock min", "median", "ours min", "median", "ours/stock"],
    [
      row("job sent to isotovideo started", "before"),
      row("isotovideo ended to set_done answered", "after"),
      row("sum", "total"),
      row("of which the server answers", "server"),
    ],
  );
}
