// A worker whose cache is that of a cache service: one that CACHESERVICEURL names, or a stock one that runs on the host.
import { expect, test } from "bun:test";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { idleInfo, json, ScriptedService } from "../cache/service/scripted-service.ts";
import { type CachePlace, cachedPath, cachingOptions, openCachePlace } from "../support/caching-host.ts";
import { plainJob, type TemporaryWorkerOptions } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  openWebUi,
  openWorker,
  rejected,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 30_000;

async function openServedHost(place: CachePlace, options: TemporaryWorkerOptions) {
  const ui = await openWebUi();
  const worker = await openWorker(ui, cachingOptions(place, options));
  return { ui, worker, workerId: await ui.registered() };
}

/** What a service has fetched and synced: the answers alone put no file anywhere. */
async function fill(place: CachePlace): Promise<void> {
  await mkdir(join(place.cacheDirectory, "127.0.0.1/tests/fake/needles"), { recursive: true });
  await writeFile(join(place.cacheDirectory, "127.0.0.1/tests/fake/main.pm"), "1;");
  await writeFile(cachedPath(place, "fake.iso"), "bytes of an iso");
}

const ready = {
  "GET /info": json(idleInfo),
  "POST /enqueue": json({ status: "downloading", id: 5 }),
  "GET /status/5": json({ status: "processed", result: null, output: "fetched it" }),
};
const env = { OPENQA_CACHE_SERVICE_POLL_DELAY: "0.05", OPENQA_CACHE_ATTEMPTS: "1" };

test(
  "CACHESERVICEURL is used for assets and tests",
  async () => {
    await using service = new ScriptedService(ready);
    const place = await openCachePlace();
    await fill(place);
    const { ui } = await openServedHost(place, { global: { CACHESERVICEURL: service.url }, env });
    await finishesNextJob(ui);
    const enqueued = service.requests.filter(({ call }) => call === "POST /enqueue").map(({ body }) => body);
    expect(enqueued).toContainEqual({
      task: "cache_asset",
      args: [expect.any(Number), "iso", "fake.iso", ui.url],
      lock: `fake.iso.${ui.url}`,
    });
    expect(JSON.stringify(enqueued)).toContain('"cache_tests"');
    expect(await readdir(place.cacheDirectory)).toEqual(["127.0.0.1"]);
  },
  testMs,
);

test(
  "a stock cache service that runs on the host is used, and its directory left alone",
  async () => {
    await using service = new ScriptedService(ready);
    const place = await openCachePlace();
    await fill(place);
    const basePort = Number(new URL(service.url).port) - 4;
    const { ui, worker } = await openServedHost(place, {
      env: { ...env, OPENQA_BASE_PORT: String(basePort) },
    });
    await finishesNextJob(ui);
    await finishesNextJob(ui);
    const lines = worker.log.split("\n").filter((line) => line.includes("A stock cache service answers"));
    expect(lines).toHaveLength(1);
    expect(await readdir(place.cacheDirectory)).toEqual(["127.0.0.1"]);
  },
  testMs,
);

test(
  "a service without workers makes the slot unavailable until it has some",
  async () => {
    const noWorkers = json({ ...idleInfo, inactive_workers: 0 });
    const answers = { ...ready, "GET /info": noWorkers };
    await using service = new ScriptedService(answers);
    const place = await openCachePlace();
    await fill(place);
    const { ui, workerId } = await openServedHost(place, { global: { CACHESERVICEURL: service.url }, env });
    const reason = `Worker cache not available via ${service.url}: No workers active in the cache service`;
    await ui.message({ type: "worker_status", status: "broken", reason });
    const { id } = ui.offer(plainJob, workerId);
    expect((await rejected(ui, id)).value).toMatchObject({ reason });
    answers["GET /info"] = json(idleInfo);
    await finishesNextJob(ui, workerId);
  },
  testMs,
);

test(
  "what the service says becomes the reason",
  async () => {
    await using service = new ScriptedService({
      ...ready,
      "GET /status/5": [
        json({
          status: "processed",
          has_download_error: true,
          output: '[info] [#5] Download of "fake.iso" failed: 404 Not Found',
        }),
        json({ error: "Minion job #5 failed: out of order" }, 500),
      ],
    });
    const place = await openCachePlace();
    const { ui } = await openServedHost(place, {
      global: { CACHESERVICEURL: service.url },
      hostSections: {},
      env,
    });
    for (const reason of [
      `asset failure: Failed to download fake.iso to ${cachedPath(place, "fake.iso")}`,
      "cache failure: Cache service status error from API: Minion job #5 failed: out of order",
    ]) {
      const job = ui.offer(plainJob);
      await ui.setDone(job.id);
      expect({ result: job.result, reason: job.reason }).toEqual({ result: "incomplete", reason });
    }
  },
  testMs,
);
