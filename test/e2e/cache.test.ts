// The asset cache and the test sync on a real server: jobs of our worker beside those of the stock worker with its cache
// service, each of the two in the other's place, and a cache directory that passes from one to the other.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { AccessLog } from "./access-log.ts";
import { startOurCacheService, startStockCacheService } from "./cache-service.ts";
import { installDistribution, makeAsset, postJob, readJob, waitForEnd } from "./jobs.ts";
import {
  expectOutcome,
  expectTidy,
  type Pair,
  runBoth,
  type Side,
  startPair,
  withNeutralPaths,
} from "./pair.ts";
import { missingFromCache, pass, type Scenario, scenarios, settingsOf } from "./scenarios.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { makeSmallDisk } from "./small-disk.ts";
import { makeCacheDirectory } from "./worker-folder.ts";
import { isSecondStock, startOurWorker, startStockWorker, type Worker } from "./workers.ts";

/** So that the stock worker does not look for its cache service every 5 s only. */
const env = { OPENQA_CACHE_SERVICE_POLL_DELAY: "1" };
const mib = 1024 * 1024;
const iso = "iso/grub-rescue-cdrom.iso";
const withIso: Scenario = { ...scenarios["quick"]!, settings: { ISO: "grub-rescue-cdrom.iso" } };

let server: OpenqaServer;

const onServer = (name: string, body: () => Promise<void>) => serverTest(name, () => server, body);

beforeAll(async () => {
  server = await startServer();
  await installDistribution(server);
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

/** Runs a job on a worker of the class "SIDE-NAME" and checks how it ended. */
async function runJob(worker: Worker, workerClass: string, scenario: Scenario) {
  const id = await postJob(server, settingsOf(scenario, workerClass));
  await waitForEnd(server, id);
  expectOutcome(withNeutralPaths(await readJob(server, id), worker), scenario);
}

/** Files of a host's folder, those of the test distribution included. */
async function filesIn(directory: string): Promise<string[]> {
  const found = await readdir(join(directory, "127.0.0.1"), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .toSorted();
}

describe("our worker with a cache leaves what the stock worker with its cache service leaves", () => {
  let pair: Pair;
  beforeAll(async () => {
    const caches = {
      stock: await makeCacheDirectory(server, "stock"),
      ours: await makeCacheDirectory(server, "ours"),
    };
    pair = await startPair(server, "cache", (side) => ({ cache: { directory: caches[side] }, env }));
  }, limitMs);

  // Not both at once: the server fails when two jobs tell it of the same new needles at the same time.
  onServer("cold", async () => {
    const log = await AccessLog.startingNow(server);
    await runBoth(pass, pair, "one by one");
    expect(await log.statuses([iso])).toEqual({ [iso]: [200, 200] });
    const files = await filesIn(pair.ours.cacheDirectory!);
    expect(files).toEqual(await filesIn(pair.stock.cacheDirectory!));
    expect(files).toContain("127.0.0.1/grub-rescue-cdrom.iso");
    expect(files).toContain("127.0.0.1/tests/tinygrub/main.pm");
    await expectTidy(pair.ours);
  });

  onServer("warm", async () => {
    const log = await AccessLog.startingNow(server);
    await runBoth(pass, pair);
    expect(await log.statuses([iso])).toEqual({ [iso]: [304, 304] });
    await expectTidy(pair.ours);
  });

  onServer("asset missing", async () => {
    await runBoth(missingFromCache, pair);
    await expectTidy(pair.ours);
    await Promise.all([pair.stock.stop(), pair.ours.stop()]);
    expect(await pair.ours.processes()).toEqual([]);
  });
});

// At once: they mostly wait for the stock worker, which looks at its cache service from time to time only.
describe("side by side", () => {
  const atOnce = (name: string, body: () => Promise<void>) =>
    serverTest(name, () => server, body, test.concurrent);

  atOnce("a stock worker runs its jobs with `cache serve` in place of its cache service", async () => {
    const directory = await makeCacheDirectory(server, "served");
    await makeAsset(server, "iso/served.iso", 5 * mib);
    const start = isSecondStock ? startStockCacheService : startOurCacheService;
    const service = await start(server, { directory });
    const cache = { directory, servicePort: service.port };
    const instance = server.takeInstances(1);
    const worker = await startStockWorker(server, { instance, workerClass: "served", cache, env });
    const log = await AccessLog.startingNow(server);
    const withServed = { ...withIso, settings: { ISO: "served.iso" } };
    await runJob(worker, "served", withServed);
    await runJob(worker, "served", withServed);
    await runJob(worker, "served", missingFromCache);
    expect(await log.statuses(["iso/served.iso"])).toEqual({ "iso/served.iso": [200, 304] });
    expect(await filesIn(directory)).toContain("127.0.0.1/tests/tinygrub/main.pm");
    await worker.stop();
    const exitCode = await service.stop();
    if (!isSecondStock) expect(exitCode).toBe(0);
  });

  atOnce("a cache of the stock service is adopted, taken back by it, and adopted again", async () => {
    const known = ["iso/known.iso", "hdd/known.qcow2", "other/known.bin"];
    const added = "hdd/added.img";
    const all = [...known, added];
    for (const asset of all) await makeAsset(server, asset, 300_000);
    const directory = await makeCacheDirectory(server, "adopted");
    const passOn = (side: Side, withAdded: boolean) =>
      runJobAlone(side, directory, {
        ...scenarios["quick"]!,
        settings: {
          ISO: "known.iso",
          HDD_1: "known.qcow2",
          ASSET_1: "known.bin",
          ...(withAdded ? { HDD_2: "added.img" } : {}),
        },
      });
    const each = (status: number, assets: readonly string[]) =>
      Object.fromEntries(assets.map((asset) => [asset, [status]]));

    const log = await AccessLog.startingNow(server);
    await passOn("stock", false);
    expect(await log.statuses(known)).toEqual(each(200, known));
    const adopted = await AccessLog.startingNow(server);
    await passOn("ours", true);
    expect(await adopted.statuses(all)).toEqual({ ...each(304, known), [added]: [200] });
    const takenBack = await AccessLog.startingNow(server);
    const { serviceLog } = await passOn("stock", true);
    expect(await takenBack.statuses(all)).toEqual(each(304, all));
    expect(serviceLog).toContain("has not changed");
    expect(serviceLog).not.toMatch(/purging|corrupt|creating cache directory/i);
    const again = await AccessLog.startingNow(server);
    await passOn("ours", true);
    expect(await again.statuses(all)).toEqual(each(304, all));
  });

  atOnce("a full disk is named in the reason, and a job that needs less passes afterwards", async () => {
    await using disk = await makeSmallDisk(server, "small", 12 * mib);
    // The stock worker's words are its own.
    if (!disk || isSecondStock) return;
    await makeAsset(server, "iso/too-big.iso", 20 * mib);
    const options = { instance: server.takeInstances(1), workerClass: "small", cache: disk, env };
    const worker = await startOurWorker(server, options);
    const id = await postJob(server, settingsOf({ ...withIso, settings: { ISO: "too-big.iso" } }, "small"));
    await waitForEnd(server, id);
    const { result, reason } = await readJob(server, id);
    expect({ result, reason }).toEqual({
      result: "incomplete",
      reason: expect.stringMatching(/^cache failure: .*(disk|space)/),
    });
    expect(reason).toContain(disk.directory);
    await runJob(worker, "small", withIso);
    await worker.stop();
    expect(await worker.processes()).toEqual([]);
  });
});

/** A worker that is there for one job. */
async function runJobAlone(
  side: Side,
  directory: string,
  scenario: Scenario,
): Promise<{ serviceLog: string }> {
  const instance = server.takeInstances(1);
  const options = { instance, workerClass: `alone-${instance}`, cache: { directory }, env };
  const worker = await (side === "stock" ? startStockWorker : startOurWorker)(server, options);
  await runJob(worker, options.workerClass, scenario);
  await worker.stop();
  return { serviceLog: (await worker.service?.log()) ?? "" };
}
