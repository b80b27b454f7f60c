// Every way a job can go, on a real server, by the stock worker and by ours side by side; a program compares what
// both left.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { differences, differencesFromPool } from "./compare.ts";
import { installDistribution, type JobReport, jobState, postJob, readJob, waitForEnd } from "./jobs.ts";
import { pass, type Scenario, scenarios, settingsOf, stopped } from "./scenarios.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { until } from "./until.ts";
import { isSecondStock, startOurWorker, startStockWorker, type Worker } from "./workers.ts";

/** Longer than anything in a test takes: at its own time-outs Bun kills the server as well. */
const limitMs = 400_000;
/** After `set_done` was answered. */
const tidyLimitMs = 10_000;

interface Pair {
  readonly stock: Worker;
  readonly ours: Worker;
}

let server: OpenqaServer;
let twoSlots: Pair;

async function startPair(name: string, slots: number, extraArgs: readonly string[] = []): Promise<Pair> {
  const start = async (side: "stock" | "ours") => {
    const options = {
      instance: server.takeInstances(slots),
      slots,
      workerClass: `${side}-${name}`,
      extraArgs,
    };
    return side === "stock" ? startStockWorker(server, options) : startOurWorker(server, options);
  };
  const [stock, ours] = await Promise.all([start("stock"), start("ours")]);
  return { stock, ours };
}

type Order = "at once" | "one by one";

/** Runs a scenario on both workers and returns what both jobs left, which was found to be equal. */
async function runBoth(scenario: Scenario, name: string, { stock, ours }: Pair, order: Order = "at once") {
  const start = async (worker: Worker, workerClass: string) => {
    const id = await postJob(server, settingsOf(scenario, workerClass));
    const finish = async () => {
      await scenario.meanwhile?.(server, worker, id);
      await waitForEnd(server, id);
      return readJob(server, id);
    };
    const finished = finish();
    if (order === "one by one") await finished;
    return { finished };
  };
  // Posted one after the other in any case: the server fails when two posts name the same new asset.
  const first = await start(stock, `stock-${name}`);
  const second = await start(ours, `ours-${name}`);
  const [theirs, mine] = await Promise.all([first.finished, second.finished]);
  for (const job of [theirs, mine]) expectOutcome(job, scenario);
  // Which one of several reasons a job gets is chance.
  const reason = scenario.reasons.length > 1 ? { reason: scenario.reasons[0] } : {};
  expect(differences({ ...theirs, ...reason }, { ...mine, ...reason }, scenario.depth)).toEqual([]);
  return { theirs, mine };
}

function expectOutcome({ test, result, reason }: JobReport, { reasons, ...expected }: Scenario): void {
  const allowed: readonly (string | undefined)[] = reasons.length === 0 ? [undefined] : reasons;
  expect({ test, result, reason }).toEqual({
    test: expected.test,
    result: expected.result,
    reason: allowed.includes(reason) ? reason : allowed[0],
  });
}

async function expectTidy(worker: Worker): Promise<void> {
  let left: unknown;
  const isTidy = async () => {
    left = await worker.jobProcesses();
    return Bun.deepEquals(left, []);
  };
  await until("no process of the job is left", tidyLimitMs, isTidy).catch(() => {});
  expect(left).toEqual([]);
}

async function expectCleanPools(worker: Worker): Promise<void> {
  for (const instance of worker.instances) {
    const read = async () =>
      (await readdir(worker.poolFolder(instance))).filter((name) => !name.startsWith("."));
    await until("the pool is clean", tidyLimitMs, async () => (await read()).length === 0).catch(() => {});
    expect(await read()).toEqual([]);
  }
}

/** A test that keeps the server's and the workers' logs when it fails. */
function serverTest(name: string, body: () => Promise<void>): void {
  test(
    name,
    async () => {
      try {
        await body();
      } catch (error) {
        console.error(`${name}: logs kept in ${await server.keepLogs()}`);
        throw error;
      }
    },
    limitMs,
  );
}

beforeAll(async () => {
  server = await startServer();
  await installDistribution(server);
  twoSlots = await startPair("two", 2);
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

describe("our worker leaves what the stock worker leaves", () => {
  // First, and not both at once: the server fails when two jobs tell it of the same new needles at the same time.
  serverTest("pass", async () => {
    const kept = await startPair("kept", 1, ["--no-cleanup"]);
    const { theirs, mine } = await runBoth(pass, "kept", kept, "one by one");
    expect(await differencesFromPool(server, theirs, kept.stock.poolFolder(), true)).toEqual([]);
    expect(await differencesFromPool(server, mine, kept.ours.poolFolder(), isSecondStock)).toEqual([]);
    await expectTidy(kept.ours);
    await Promise.all([kept.stock.stop(), kept.ours.stop()]);
    expect(await kept.ours.processes()).toEqual([]);
  });

  for (const [name, scenario] of Object.entries(scenarios)) {
    serverTest(name, async () => {
      await runBoth(scenario, "two", twoSlots);
      await expectTidy(twoSlots.ours);
      await expectCleanPools(twoSlots.ours);
    });
  }

  serverTest("two jobs at once in two slots", async () => {
    const results = await Promise.all([0, 1].map(() => runBoth(scenarios["quick"]!, "two", twoSlots)));
    expect(new Set(results.map(({ mine }) => mine.workerId)).size).toBe(2);
    await expectTidy(twoSlots.ours);
    await expectCleanPools(twoSlots.ours);
  });

  serverTest("TERM to the worker while a job runs", async () => {
    const ended = await startPair("ended", 1);
    const { mine } = await runBoth(stopped, "ended", ended);
    expect((await jobState(server, mine.cloneId!)).state).toBe("scheduled");
    expect(await ended.ours.stop()).toBe(0);
    expect(await ended.ours.processes()).toEqual([]);
  });
});

test(
  "an idle worker ends with exit code 0 and leaves no process",
  async () => {
    expect(await twoSlots.ours.stop()).toBe(0);
    expect(await twoSlots.ours.processes()).toEqual([]);
  },
  limitMs,
);
