// The stock worker and ours side by side: the same jobs on both, and what both left, compared.
import { expect } from "bun:test";
import { readdir } from "node:fs/promises";
import { differences } from "./compare.ts";
import { type JobReport, postJob, readJob, waitForEnd } from "./jobs.ts";
import { type Scenario, settingsOf } from "./scenarios.ts";
import type { OpenqaServer } from "./server.ts";
import { until } from "./until.ts";
import { startOurWorker, startStockWorker, type Worker, type WorkerOptions } from "./workers.ts";

/** After `set_done` was answered. */
const tidyLimitMs = 10_000;

export type Side = "stock" | "ours";

export interface Pair {
  readonly server: OpenqaServer;
  /** Of its worker classes, "SIDE-NAME". */
  readonly name: string;
  readonly stock: Worker;
  readonly ours: Worker;
}

export async function startPair(
  server: OpenqaServer,
  name: string,
  optionsOf: (side: Side) => Partial<WorkerOptions>,
): Promise<Pair> {
  const start = async (side: Side) => {
    const { slots = 1, ...more } = optionsOf(side);
    const options = { instance: server.takeInstances(slots), slots, workerClass: `${side}-${name}`, ...more };
    return side === "stock" ? startStockWorker(server, options) : startOurWorker(server, options);
  };
  const [stock, ours] = await Promise.all([start("stock"), start("ours")]);
  return { server, name, stock, ours };
}

type Order = "at once" | "one by one";

/** Runs a scenario on both workers and returns what both jobs left, which was found to be equal. */
export async function runBoth(scenario: Scenario, pair: Pair, order: Order = "at once") {
  const { server } = pair;
  const start = async (side: Side) => {
    const worker = pair[side];
    const id = await postJob(server, settingsOf(scenario, `${side}-${pair.name}`));
    const finish = async () => {
      await scenario.meanwhile?.(server, worker, id);
      await waitForEnd(server, id);
      return withNeutralPaths(await readJob(server, id), worker);
    };
    const finished = finish();
    if (order === "one by one") await finished;
    return { finished };
  };
  // Posted one after the other in any case: the server fails when two posts name the same new asset.
  const first = await start("stock");
  const second = await start("ours");
  const [theirs, mine] = await Promise.all([first.finished, second.finished]);
  for (const job of [theirs, mine]) expectOutcome(job, scenario);
  // Which one of several reasons a job gets is chance.
  const reason = scenario.reasons.length > 1 ? { reason: scenario.reasons[0] } : {};
  expect(differences({ ...theirs, ...reason }, { ...mine, ...reason }, scenario.depth)).toEqual([]);
  return { theirs, mine };
}

/** Cache directories are named in reasons. */
export function withNeutralPaths(job: JobReport, { cacheDirectory }: Worker): JobReport {
  if (cacheDirectory === undefined) return job;
  return { ...job, reason: job.reason?.replaceAll(cacheDirectory, "CACHEDIRECTORY") };
}

export function expectOutcome({ test, result, reason }: JobReport, { reasons, ...expected }: Scenario): void {
  const allowed: readonly (string | undefined)[] = reasons.length === 0 ? [undefined] : reasons;
  expect({ test, result, reason }).toEqual({
    test: expected.test,
    result: expected.result,
    reason: allowed.includes(reason) ? reason : allowed[0],
  });
}

/** No process of a job is left. */
export async function expectTidy(worker: Worker): Promise<void> {
  let left: unknown;
  const isTidy = async () => {
    left = await worker.jobProcesses();
    return Bun.deepEquals(left, []);
  };
  await until("no process of the job is left", tidyLimitMs, isTidy).catch(() => {});
  expect(left).toEqual([]);
}

export async function expectCleanPools(worker: Worker): Promise<void> {
  for (const instance of worker.instances) {
    const read = async () =>
      (await readdir(worker.poolFolder(instance))).filter((name) => !name.startsWith("."));
    await until("the pool is clean", tidyLimitMs, async () => (await read()).length === 0).catch(() => {});
    expect(await read()).toEqual([]);
  }
}
