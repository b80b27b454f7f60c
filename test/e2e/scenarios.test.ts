// Every way a job can go, on a real server, by the stock worker and by ours side by side; a program compares what
// both left.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { differencesFromPool } from "./compare.ts";
import { installDistribution, jobState } from "./jobs.ts";
import { expectCleanPools, expectTidy, type Pair, runBoth, startPair } from "./pair.ts";
import { pass, scenarios, stopped } from "./scenarios.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { isSecondStock } from "./workers.ts";

let server: OpenqaServer;
let twoSlots: Pair;

const onServer = (name: string, body: () => Promise<void>) => serverTest(name, () => server, body);

beforeAll(async () => {
  server = await startServer();
  await installDistribution(server);
  twoSlots = await startPair(server, "two", () => ({ slots: 2 }));
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

describe("our worker leaves what the stock worker leaves", () => {
  // First, and not both at once: the server fails when two jobs tell it of the same new needles at the same time.
  onServer("pass", async () => {
    const kept = await startPair(server, "kept", () => ({ extraArgs: ["--no-cleanup"] }));
    const { theirs, mine } = await runBoth(pass, kept, "one by one");
    expect(await differencesFromPool(server, theirs, kept.stock.poolFolder(), true)).toEqual([]);
    expect(await differencesFromPool(server, mine, kept.ours.poolFolder(), isSecondStock)).toEqual([]);
    await expectTidy(kept.ours);
    await Promise.all([kept.stock.stop(), kept.ours.stop()]);
    expect(await kept.ours.processes()).toEqual([]);
  });

  for (const [name, scenario] of Object.entries(scenarios)) {
    onServer(name, async () => {
      await runBoth(scenario, twoSlots);
      await expectTidy(twoSlots.ours);
      await expectCleanPools(twoSlots.ours);
    });
  }

  onServer("two jobs at once in two slots", async () => {
    const results = await Promise.all([0, 1].map(() => runBoth(scenarios["quick"]!, twoSlots)));
    expect(new Set(results.map(({ mine }) => mine.workerId)).size).toBe(2);
    await expectTidy(twoSlots.ours);
    await expectCleanPools(twoSlots.ours);
  });

  onServer("TERM to the worker while a job runs", async () => {
    const ended = await startPair(server, "ended", () => ({}));
    const { mine } = await runBoth(stopped, ended);
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
