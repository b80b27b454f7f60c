// Jobs of a worker that a cache service works for, on the built executable: one that CACHESERVICEURL names, and a stock
// one that is found on the host.
import { describe, expect, test } from "bun:test";
import { cp, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Answer, idleInfo, json, ScriptedService, text } from "../cache/service/scripted-service.ts";
import { type CachePlace, cachedPath, cachingOptions, openCachePlace } from "../support/caching-host.ts";
import type { FakeWebUi } from "../support/fake-web-ui.ts";
import { plainJob, type TemporaryWorker, type TemporaryWorkerOptions } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  openWebUi,
  openWorker,
  rejected,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;

const enqueued = json({ status: "downloading", id: 7 });
const processed = {
  status: "processed",
  result: null,
  output: "said by the service",
  has_download_error: false,
};
const gone = json({
  ...processed,
  has_download_error: true,
  output: 'Download of "fake.iso" failed: 404 Not Found',
});

interface ServedHost extends CachePlace {
  readonly ui: FakeWebUi;
  readonly worker: TemporaryWorker;
}

/** A worker that is connected. */
async function openServedHost(options: TemporaryWorkerOptions, place: CachePlace): Promise<ServedHost> {
  const ui = await openWebUi();
  const env = {
    OPENQA_CACHE_SERVICE_POLL_DELAY: "0.02",
    OPENQA_CACHE_ATTEMPTS: "2",
    OPENQA_CACHE_ATTEMPT_SLEEP_TIME: "0.05",
    ...options.env,
  };
  const worker = await openWorker(ui, cachingOptions(place, { ...options, env }));
  await ui.registered();
  return { ...place, ui, worker };
}

/** Does what a cache service does about an asset and tests, and says that it is done. */
function fetching(place: CachePlace): Answer {
  let fetched: Promise<void> | undefined;
  const fetchAll = async () => {
    const path = cachedPath(place, "fake.iso");
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, "bytes of an iso");
    await cp(place.testPool, cachedPath(place, "tests"), { recursive: true });
  };
  return async () => {
    fetched ??= fetchAll();
    await fetched;
    return Response.json({ ...processed, result: "exit code 0" });
  };
}

async function expectNothingOfOurs({ cacheDirectory }: CachePlace): Promise<void> {
  expect(await readdir(cacheDirectory)).toEqual(["127.0.0.1"]);
}

test(
  "the service that CACHESERVICEURL names fetches assets and tests",
  async () => {
    const place = await openCachePlace();
    await using service = new ScriptedService({
      "GET /info": json(idleInfo),
      "POST /enqueue": enqueued,
      "GET /status/7": fetching(place),
    });
    const { ui } = await openServedHost({ global: { CACHESERVICEURL: service.url } }, place);
    const job = ui.offer(plainJob);
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
    const bodies = service.requests.filter(({ call }) => call === "POST /enqueue").map(({ body }) => body);
    const [from, to] = [place.testPool, join(place.cacheDirectory, "127.0.0.1")];
    expect(bodies).toContainEqual({
      task: "cache_asset",
      args: [job.id, "iso", "fake.iso", ui.url],
      lock: `fake.iso.${ui.url}`,
    });
    expect(bodies).toContainEqual({ task: "cache_tests", args: [from, to], lock: `${from}.${to}` });
    const log = job.files.get("autoinst-log.txt")?.toString();
    expect(log).toContain("Downloading fake.iso, request #7 sent to Cache Service");
    expect(log).toContain("Download of fake.iso processed:\nsaid by the service");
    expect(ui.assetStatuses("fake.iso")).toEqual([]);
    await expectNothingOfOurs(place);
  },
  testMs,
);

describe("what the service says becomes the reason:", () => {
  const asset = "Failed to send asset request for fake.iso: Cache service enqueue error";
  const failures: readonly (readonly [string, Record<string, Answer>, (path: string) => string])[] = [
    [
      "it refuses a request",
      { "POST /enqueue": json({ error: "Nope" }, 400) },
      () => `cache failure: ${asset} from API: Nope`,
    ],
    [
      "it answers with something else",
      { "POST /enqueue": text("hello") },
      () => `cache failure: ${asset}: 200 non-JSON response`,
    ],
    [
      "it fails",
      { "GET /status/7": json({ error: "Minion job #7 failed: boom" }, 500) },
      () => "cache failure: Cache service status error from API: Minion job #7 failed: boom",
    ],
    ["the web UI does not have the asset", { "GET /status/7": gone }, (path) => `asset failure: ${path}`],
    [
      "the download fails",
      {
        "GET /status/7": json({
          ...processed,
          has_download_error: true,
          output: 'Download of "fake.iso" failed: 521 Connect timeout',
        }),
      },
      (path) => `cache failure: ${path}`,
    ],
    [
      "the asset is purged at once",
      {
        "GET /status/7": json({
          ...processed,
          output: 'Purging "fake.iso" because we need space for new assets',
        }),
      },
      (path) =>
        `cache failure: ${path}. Asset was pruned immediately after download (poo#71827), please retrigger`,
    ],
  ];
  test.each(failures)(
    "%s",
    async (_, answers, reason) => {
      const place = await openCachePlace();
      const working = {
        "GET /info": json(idleInfo),
        "POST /enqueue": enqueued,
        "GET /status/7": fetching(place),
      };
      const scripted: Record<string, Answer> = { ...working, ...answers };
      await using service = new ScriptedService(scripted);
      const options = { global: { CACHESERVICEURL: service.url }, hostSections: {} };
      const { ui } = await openServedHost(options, place);
      const job = ui.offer(plainJob);
      const { query } = await ui.setDone(job.id);
      expect(query.get("result")).toBe("incomplete");
      const path = `Failed to download fake.iso to ${cachedPath(place, "fake.iso")}`;
      expect(query.get("reason")).toBe(reason(path));
      Object.assign(scripted, working);
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "rsync fails",
    async () => {
      const place = await openCachePlace();
      await using service = new ScriptedService({
        "GET /info": json(idleInfo),
        "POST /enqueue": enqueued,
        "GET /status/7": json({ ...processed, has_download_error: null, result: "exit code 12" }),
      });
      const { ui } = await openServedHost({ global: { CACHESERVICEURL: service.url } }, place);
      const job = ui.offer({ ...plainJob, ISO: "" });
      const { query } = await ui.setDone(job.id);
      expect(query.get("reason")).toBe("cache failure: Failed to rsync tests: exit code 12");
    },
    testMs,
  );
});

describe("the slot takes no jobs, and takes them again afterwards, while the service", () => {
  test.each([
    ["has no workers", { inactive_workers: 0 }, "No workers active in the cache service"],
    ["has too much to do", { inactive_jobs: 6 }, "Cache service queue already full (5)"],
  ])(
    "%s",
    async (_, trouble, text) => {
      const place = await openCachePlace();
      let info = { ...idleInfo, ...trouble };
      await using service = new ScriptedService({
        "GET /info": () => Response.json(info),
        "POST /enqueue": enqueued,
        "GET /status/7": fetching(place),
      });
      const { ui, worker } = await openServedHost({ global: { CACHESERVICEURL: service.url } }, place);
      await expectUnavailable(ui, `Worker cache not available via ${service.url}: ${text}`);
      info = idleInfo;
      await worker.awaitLog(/can take jobs again/);
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "is not there",
    async () => {
      const place = await openCachePlace();
      const answers = {
        "GET /info": json(idleInfo),
        "POST /enqueue": enqueued,
        "GET /status/7": fetching(place),
      };
      const service = new ScriptedService(answers);
      const { url } = service;
      await service[Symbol.asyncDispose]();
      const { ui, worker } = await openServedHost({ global: { CACHESERVICEURL: url } }, place);
      const reason = `Worker cache not available via ${url}: Cache service info error: Connection refused`;
      await expectUnavailable(ui, reason);
      await using _ = new ScriptedService(answers, Number(new URL(url).port));
      await worker.awaitLog(/can take jobs again/);
      await finishesNextJob(ui);
    },
    testMs,
  );

  async function expectUnavailable(ui: FakeWebUi, reason: string): Promise<void> {
    await ui.message({ type: "worker_status", status: "broken", reason });
    const job = ui.offer(plainJob);
    expect((await rejected(ui, job.id)).value["reason"]).toBe(reason);
  }
});

test(
  "a stock service that answers on the host is used, which is said once, and the directory is left to it",
  async () => {
    const place = await openCachePlace();
    await using service = new ScriptedService({
      "GET /info": json(idleInfo),
      "POST /enqueue": enqueued,
      "GET /status/7": fetching(place),
    });
    // The fourth after the base port.
    const env = { OPENQA_BASE_PORT: String(Number(new URL(service.url).port) - 4) };
    const { ui, worker } = await openServedHost({ env, instances: "1-2" }, place);
    for (const workerId of [1, 2]) {
      await ui.message((message) => message.workerId === workerId);
      await finishesNextJob(ui, workerId);
    }
    expect(worker.log.match(/A stock cache service answers at .*/g)).toEqual([
      `A stock cache service answers at ${service.url}: it is used, and ${place.cacheDirectory} is left to it`,
    ]);
    expect(ui.assetStatuses("fake.iso")).toEqual([]);
    await expectNothingOfOurs(place);
  },
  testMs,
);
