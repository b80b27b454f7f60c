// What the worker itself adds to a job: (job sent to it → isotovideo started) + (isotovideo ended → set_done answered),
// for a job without a VM and without a cache; and how much of that the server's own answers take.
import { installDistribution, jobSettings } from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import type { Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { whenDone } from "../job-answer.ts";
import { median } from "../statistics.ts";
import {
  covered,
  installWrapper,
  isotovideoSpan,
  requestsOf,
  type WebsocketTap,
  withTappedServer,
} from "../timing.ts";
import { each, inTurn, type PerSide, passJob, withBothWorkers } from "../two-sides.ts";

/** In milliseconds. */
interface Overhead {
  /** Job sent → isotovideo started. */
  readonly before: number;
  /** isotovideo ended → set_done answered. */
  readonly after: number;
  /** Part of both in which the server was answering a request. */
  readonly server: number;
}

/** What may come on top of the server's own answers. */
const addedLimitMs = 100;
const logLimitMs = 10_000;

export const part: BenchPart = {
  name: "overhead",
  title: "Overhead of a job that does next to nothing, without a cache",
  minutes: 1,
  measure: (options) => withTappedServer((server, tap) => measure(server, tap, options)),
};

async function measure(
  server: OpenqaServer,
  tap: WebsocketTap,
  { rounds, note }: BenchOptions,
): Promise<Measurement[]> {
  await installDistribution(server);
  const isotovideo = await installWrapper(server);
  const found = await withBothWorkers(
    server,
    async () => ({}),
    (workers) =>
      inTurn(rounds, async (side, round) => {
        note(`job of ${side}, round ${round} of ${rounds}`);
        const id = await passJob(server, { ...jobSettings("quick", side), ISOTOVIDEO: isotovideo });
        return await overheadOf(id, workers[side], server, tap);
      }),
  );
  return measurementsOf(found);
}

async function overheadOf(
  job: number,
  worker: Worker,
  server: OpenqaServer,
  tap: WebsocketTap,
): Promise<Overhead> {
  const ran = await isotovideoSpan(worker);
  // The job is done a moment before that is answered, and logged.
  const doneMs = await whenDone(server, job, logLimitMs);
  const requests = await requestsOf(server, job);
  const before = { from: tap.grabTime(job), to: ran.from };
  const after = { from: ran.to, to: doneMs };
  return {
    before: before.to - before.from,
    after: after.to - after.from,
    server: covered(before, requests) + covered(after, requests),
  };
}

function measurementsOf(found: PerSide<readonly Overhead[]>): Measurement[] {
  const added = each(found, ({ before, after, server }) => before + after - server);
  const addedMs = median(added.ours);
  const verdict = addedMs <= addedLimitMs ? "met" : "missed";
  return [
    { name: "job sent until isotovideo has started", unit: "ms", sides: each(found, ({ before }) => before) },
    {
      name: "isotovideo ended until its end is stored",
      unit: "ms",
      sides: each(found, ({ after }) => after),
    },
    {
      name: "sum",
      unit: "ms",
      sides: each(found, ({ before, after }) => before + after),
      aim: { ratio: 1 / 2, to: "stock" },
      remark: `${addedMs.toFixed(0)} ms above the server's own answers; aim: at most ${addedLimitMs} ms, ${verdict}`,
    },
    { name: "the server's answers in it", unit: "ms", sides: each(found, ({ server }) => server) },
    { name: "sum without them", unit: "ms", sides: added },
  ];
}
