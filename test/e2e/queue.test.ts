// Chains of jobs and stop commands on a real server: the stock worker and ours answer alike, and nothing stays behind.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { differences } from "./compare.ts";
import {
  installDistribution,
  jobSettings,
  jobState,
  makeAsset,
  postChain,
  readJob,
  waitUntilRuns,
} from "./jobs.ts";
import { expectCleanPools, expectTidy, type Pair, runBoth, type Side, startPair } from "./pair.ts";
import type { Scenario } from "./scenarios.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { until } from "./until.ts";
import { makeCacheDirectory } from "./worker-folder.ts";
import type { Worker } from "./workers.ts";

const chainLimitMs = 60_000;
const setupLimitMs = 30_000;

let server: OpenqaServer;
let pair: Pair;

const onServer = (name: string, body: () => Promise<void>) => serverTest(name, () => server, body);

beforeAll(async () => {
  server = await startServer();
  await installDistribution(server);
  pair = await startPair(server, "queue", () => ({}));
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

/** Runs a chain on both workers. Returns what was found equal: the results of its jobs. */
async function runChain(
  tests: readonly string[],
  meanwhile: (ids: readonly number[]) => Promise<void> = async () => {},
) {
  const run = async (side: Side) => {
    const ids = await postChain(server, tests, {
      ...jobSettings("quick", `${side}-queue`),
      REST_SECONDS: "3",
    });
    await meanwhile(ids);
    const isOver = async (id: number) => (await jobState(server, id)).state === "done";
    await until(`chain ${ids} is over`, chainLimitMs, async () =>
      (await Promise.all(ids.map(isOver))).every(Boolean),
    );
    return Promise.all(ids.map((id) => readJob(server, id)));
  };
  const [theirs, mine] = await Promise.all([run("stock"), run("ours")]);
  for (const [index, job] of mine.entries()) expect(differences(theirs[index]!, job, "steps")).toEqual([]);
  expect(new Set(mine.map(({ workerId }) => workerId)).size).toBe(1);
  await expectTidy(pair.ours);
  await expectCleanPools(pair.ours);
  expect(mine.map(({ reason }) => reason)).toEqual(tests.map(() => undefined));
  return mine.map(({ result }) => result);
}

describe("directly chained jobs", () => {
  onServer("all pass, one after the other", async () => {
    expect(await runChain(["quick", "quick", "quick"])).toEqual(["passed", "passed", "passed"]);
  });

  onServer("what follows a failed one is skipped", async () => {
    expect(await runChain(["quick", "quick_fail", "quick"])).toEqual(["passed", "failed", "skipped"]);
  });

  onServer("a pending one that is cancelled never runs, those before it do", async () => {
    const results = await runChain(["rest", "quick", "quick"], async (ids) => {
      await until(
        "the first one runs",
        chainLimitMs,
        async () => (await jobState(server, ids[0]!)).state === "running",
      );
      await server.api.post(`jobs/${ids[2]}/cancel`);
    });
    expect(results).toEqual(["passed", "passed", "user_cancelled"]);
  });
});

/** Both workers' jobs are cancelled; as one that both had cancelled. */
const cancelled = (
  meanwhile: NonNullable<Scenario["meanwhile"]>,
  settings: Record<string, string>,
): Scenario => ({
  test: "rest",
  settings: { REST_SECONDS: "120", ...settings },
  depth: "modules",
  result: "user_cancelled",
  reasons: [],
  async meanwhile(server, worker, id) {
    await meanwhile(server, worker, id);
    await server.api.post(`jobs/${id}/cancel`);
  },
});

describe("a job is cancelled", () => {
  onServer("while its test runs", async () => {
    const scenario = cancelled((_, __, id) => waitUntilRuns(server, id, "rest"), {});
    await runBoth(scenario, pair);
    await expectTidy(pair.ours);
    await expectCleanPools(pair.ours);
  });

  onServer("while an asset is fetched into the cache", async () => {
    const slow = "slow-cancel.iso";
    await makeAsset(server, `iso/${slow}`, 1_000_000);
    const caches = {
      stock: await makeCacheDirectory(server, "stock"),
      ours: await makeCacheDirectory(server, "ours"),
    };
    const cached = await startPair(server, "cached", (side) => ({ cache: { directory: caches[side] } }));
    const scenario = cancelled((_, worker) => untilLogHas(worker, slow), { ISO: slow });
    const { mine } = await runBoth(scenario, cached);
    expect(mine.modules).toEqual([]);
    await expectTidy(cached.ours);
    await expectCleanPools(cached.ours);
    await cached.ours.stop();
    expect(await cached.ours.processes()).toEqual([]);
  });
});

/** What a job has logged until now. */
async function untilLogHas(worker: Worker, text: string): Promise<void> {
  const log = join(worker.poolFolder(), "autoinst-log.txt");
  const hasText = () =>
    readFile(log, "utf8").then(
      (found) => found.includes(text),
      () => false,
    );
  await until(`${log} has ${text}`, setupLimitMs, hasText);
}
