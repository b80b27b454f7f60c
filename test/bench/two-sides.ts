// The stock worker and ours beside each other on one server, doing the same in turn.
import { postJob, waitForEnd } from "../e2e/jobs.ts";
import type { OpenqaServer } from "../e2e/server.ts";
import { startOurWorker, startStockWorker, type Worker, type WorkerOptions } from "../e2e/workers.ts";
import { expectPassed } from "./job-answer.ts";

/** In the order in which they take turns; also the worker classes. */
export const sideNames = ["stock", "ours"] as const;
export type SideName = (typeof sideNames)[number];
export type PerSide<T> = Readonly<Record<SideName, T>>;

/** Starts a worker of each, with these options and its side as worker class, and stops them when `body` has ended. */
export async function withBothWorkers<T>(
  server: OpenqaServer,
  optionsOf: (side: SideName) => Promise<Partial<WorkerOptions>>,
  body: (workers: PerSide<Worker>) => Promise<T>,
): Promise<T> {
  const options = async (side: SideName): Promise<WorkerOptions> => ({
    instance: server.takeInstances(1),
    workerClass: side,
    ...(await optionsOf(side)),
  });
  const workers: Worker[] = [];
  try {
    const stock = await startStockWorker(server, await options("stock"));
    workers.push(stock);
    const ours = await startOurWorker(server, await options("ours"));
    workers.push(ours);
    return await body({ stock, ours });
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** Takes `rounds` samples of each side, in turn, after one of each that does not count. */
export async function inTurn<T>(
  rounds: number,
  sample: (side: SideName, round: number) => Promise<T>,
): Promise<PerSide<readonly T[]>> {
  const found: Record<SideName, T[]> = { stock: [], ours: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const side of sideNames) {
      const one = await sample(side, round);
      if (round > 0) found[side].push(one);
    }
  }
  return found;
}

/** One figure of each sample. */
export function each<T>(found: PerSide<readonly T[]>, figure: (one: T) => number): PerSide<number[]> {
  return { stock: found.stock.map(figure), ours: found.ours.map(figure) };
}

/** Runs a job to its end and returns its id. Throws unless it has passed. */
export async function passJob(
  server: OpenqaServer,
  settings: Readonly<Record<string, string>>,
): Promise<number> {
  const id = await postJob(server, settings);
  await waitForPass(server, id);
  return id;
}

/** Posts the same job several times and waits until all are through. */
export async function passJobs(
  server: OpenqaServer,
  settings: Readonly<Record<string, string>>,
  count: number,
): Promise<void> {
  const ids: number[] = [];
  while (ids.length < count) ids.push(await postJob(server, settings));
  for (const id of ids) await waitForPass(server, id);
}

async function waitForPass(server: OpenqaServer, id: number): Promise<void> {
  await waitForEnd(server, id);
  await expectPassed(server, id);
}
