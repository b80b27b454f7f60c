// Jobs of a worker with a cache, on the built executable: where assets and tests come from, what ends a set-up in the
// middle of fetching them, what the worker makes of web UIs, disks and programs that fail it.
import { describe, expect, test } from "bun:test";
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { randomContent } from "../cache/download/downloads.ts";
import { until } from "../isotovideo/pool.ts";
import {
  type CachePlace,
  type CachingHost,
  cachedPath,
  cachingOptions,
  openCachePlace,
  openCachingHost,
  replaceRsync,
} from "../support/caching-host.ts";
import { type FakeJob, type FakeWebUi, type FaultAction, htmlPage } from "../support/fake-web-ui.ts";
import {
  executable,
  plainJob,
  type TemporaryWorker,
  type TemporaryWorkerOptions,
} from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  moduleReported,
  openWebUi,
  openWorker,
  rejected,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;
const asset = /GET \/tests\/\d+\/asset\//;
/** Runs until it is stopped. */
const longJob = { ...plainJob, FAKE_SECONDS: "0.5", FAKE_LINGER: "60" };

test(
  "a job has its assets and tests from the cache, the next one the same without another download",
  async () => {
    const host = await openCachingHost();
    const { ui, worker, cacheDirectory } = host;
    const job = ui.offer(longJob);
    await moduleReported(ui, job);
    const [inPool, inCache] = [
      await stat(join(worker.pool(), "fake.iso")),
      await stat(cachedPath(host, "fake.iso")),
    ];
    expect(inPool.ino).toBe(inCache.ino);
    const tests = join(cacheDirectory, "127.0.0.1/tests/fake");
    expect(await readlink(join(worker.pool(), "fake"))).toBe(tests);
    expect(await readFile(join(tests, "main.pm"), "utf8")).toBe("1;\n");
    const [used] = JSON.parse(await listing(cacheDirectory));
    expect(used.pins).toMatchObject([{ pid: worker.pid, holder: `slot 1, job ${job.id}` }]);
    ui.cancel(job);
    await ui.setDone(job.id);
    const log = textOf(job, "autoinst-log.txt");
    expect(log).toContain(`Download of "${cachedPath(host, "fake.iso")}" successful`);
    expect(log).toContain("Finished to rsync tests");
    await finishesNextJob(ui);
    expect(ui.assetStatuses("fake.iso")).toEqual([200, 304]);
    expect(JSON.parse(await listing(cacheDirectory))).toMatchObject([{ name: "fake.iso", pins: [] }]);
  },
  testMs,
);

test(
  "the web UI is told that a job is being set up while a slow asset is fetched",
  async () => {
    const { ui, workerId } = await openCachingHost({ own: { "cache.rate_window_ms": 1500 } });
    ui.fault(asset, { stallAfter: 5 });
    const job = ui.offer(plainJob);
    const told = await ui.request(({ json }) =>
      Bun.deepEquals(json, { status: { setup: 1, worker_id: workerId } }),
    );
    expect(told.path).toBe(`/api/v1/jobs/${job.id}/status`);
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
    expect(ui.assetStatuses("fake.iso")).toEqual([200, 206]);
  },
  testMs,
);

test(
  "an outage of the web UI during a download costs nothing but time: only the rest is fetched afterwards",
  async () => {
    const host = await openCachingHost();
    const { ui, worker } = host;
    const content = randomContent(4_000_000);
    ui.assets.put("iso/big.iso", content);
    ui.fault(asset, { stallAfter: 3_000_000 });
    const job = ui.offer({ ...longJob, ISO: "big.iso" });
    const received = await partialBytes(host);
    await ui.goAway();
    await worker.awaitLog(/Download of "big.iso" failed at/);
    await ui.comeBack();
    await moduleReported(ui, job);
    expect(ui.assetStatuses("big.iso")).toEqual([200, 206]);
    const [, second] = ui.requests.filter(({ path }) => path.endsWith("/big.iso"));
    expect(Number(second?.headers.get("range")?.match(/\d+/)?.[0])).toBeGreaterThanOrEqual(received);
    expect(content.equals(await readFile(join(worker.pool(), "big.iso")))).toBe(true);
    ui.cancel(job);
    await ui.setDone(job.id);
  },
  testMs,
);

test(
  "what a job writes to its asset is not served to the next one",
  async () => {
    const host = await openCachingHost();
    const { ui, worker } = host;
    for (const wanted of [[200], [200, 200]]) {
      const job = ui.offer(longJob);
      await moduleReported(ui, job);
      expect(await readFile(join(worker.pool(), "fake.iso"), "utf8")).toBe("bytes of an iso");
      expect(ui.assetStatuses("fake.iso")).toEqual(wanted);
      await appendFile(join(worker.pool(), "fake.iso"), "and of a virus");
      ui.cancel(job);
      await ui.setDone(job.id);
    }
    await worker.awaitLog(/\[warn\].*fake\.iso" is fetched again: it has been changed since it was fetched/);
  },
  testMs,
);

test(
  "UEFI_PFLASH_VARS that is no asset stays as it is",
  async () => {
    const { ui } = await openCachingHost();
    const job = ui.offer({ ...plainJob, UEFI: "1", UEFI_PFLASH_VARS: "none.bin" });
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
    expect(ui.assetStatuses("none.bin")).toEqual([404]);
    expect(JSON.parse(textOf(job, "vars.json"))).toMatchObject({
      UEFI_PFLASH_VARS: "none.bin",
    });
  },
  testMs,
);

describe("in the middle of", () => {
  interface Middle {
    readonly title: string;
    /** Before the job is offered. */
    readonly prepare: (host: CachingHost) => Promise<void>;
    /** Resolves when the set-up has got there. */
    readonly reached: (host: CachingHost) => Promise<unknown>;
    /** So that the next job gets further. */
    readonly mend: (host: CachingHost) => Promise<void>;
  }
  const middles: readonly Middle[] = [
    {
      title: "a stalled download",
      prepare: async ({ ui }) => void ui.fault(asset, { stallAfter: 5 }),
      reached: partialBytes,
      mend: async () => {},
    },
    {
      title: "a test sync that hangs",
      prepare: (host) => replaceRsync(host, `sleep 60 & touch '${host.programs}/ready'; exec sleep 60`),
      reached: ({ programs }) => until("rsync runs", () => found(join(programs, "ready"))),
      mend: ({ programs }) => rm(join(programs, "rsync")),
    },
  ];

  interface Stop {
    readonly title: string;
    readonly settings?: Record<string, string>;
    readonly cause: (host: CachingHost, job: FakeJob) => void;
    readonly result: string;
    readonly reason: string | null;
    readonly logs: readonly string[];
  }
  const setupLogs = ["autoinst-log.txt", "worker-log.txt"];
  const stops: readonly Stop[] = [
    {
      title: "cancelled",
      cause: ({ ui }, job) => ui.cancel(job),
      result: "user_cancelled",
      reason: null,
      logs: setupLogs,
    },
    {
      title: "obsolete",
      cause: ({ ui, workerId }, { id }) => ui.send(workerId, { type: "obsolete", jobid: id }),
      result: "incomplete",
      reason: "obsolete",
      logs: setupLogs,
    },
    {
      title: "MAX_SETUP_TIME",
      settings: { MAX_SETUP_TIME: "2" },
      cause: () => {},
      result: "timeout_exceeded",
      reason: "timeout: setup exceeded MAX_SETUP_TIME",
      logs: setupLogs,
    },
    {
      title: "TERM",
      cause: ({ worker }) => worker.kill("SIGTERM"),
      result: "incomplete",
      reason: "quit: worker has been stopped or restarted",
      logs: [],
    },
  ];

  for (const middle of middles)
    for (const stop of stops)
      test(
        `${middle.title}: ${stop.title} ends the job at once, and nothing is left over (field lesson 30)`,
        async () => {
          const host = await openCachingHost();
          await middle.prepare(host);
          const job = host.ui.offer({ ...plainJob, ...stop.settings });
          await middle.reached(host);
          const before = performance.now();
          stop.cause(host, job);
          const { query } = await host.ui.setDone(job.id);
          expect(performance.now() - before).toBeLessThan(5000);
          expect({ result: query.get("result"), reason: query.get("reason") }).toEqual({
            result: stop.result,
            reason: stop.reason,
          });
          expect(host.ui.uploadsOf(job.id).sort()).toEqual([...stop.logs]);
          expect(await host.worker.jobProcesses()).toEqual([]);
          await middle.mend(host);
          if (stop.title === "TERM") await endsAndStartsAgain(host, job);
          else await finishesNextJob(host.ui);
        },
        testMs,
      );

  test(
    "a test sync that ignores TERM: it is KILLed",
    async () => {
      const host = await openCachingHost();
      await replaceRsync(host, `trap '' TERM; touch '${host.programs}/ready'; sleep 60 & sleep 60`);
      const job = host.ui.offer(plainJob);
      await until("rsync runs", () => found(join(host.programs, "ready")));
      host.ui.cancel(job);
      await host.ui.setDone(job.id);
      expect(await host.worker.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  async function endsAndStartsAgain({ ui, worker }: CachingHost, job: FakeJob): Promise<void> {
    expect(job.clone).toBeDefined();
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
    expect(await worker.bornSince()).toEqual([]);
    const next = worker.startAnother();
    try {
      await next.awaitLog(/Registered and connected/);
      await finishesNextJob(ui);
    } finally {
      await next.stop();
    }
  }
});

describe("a set-up fails with a clear reason, and the next one works (field lesson 19):", () => {
  test(
    "an asset that the web UI does not have",
    async () => {
      const host = await openCachingHost();
      expect(await failure(host.ui, { ISO: "none.iso" })).toBe(
        `asset failure: Failed to download none.iso to ${cachedPath(host, "none.iso")}`,
      );
      expect(host.ui.assetStatuses("none.iso")).toEqual([404]);
      await finishesNextJob(host.ui);
    },
    testMs,
  );

  test(
    "a web UI that fails for ever, at the end of the time for a set-up",
    async () => {
      const { ui, worker } = await openCachingHost();
      const fault = ui.fault(asset, { status: 500 }, Number.POSITIVE_INFINITY);
      const job = ui.offer({ ...plainJob, MAX_SETUP_TIME: "1" });
      const { query } = await ui.setDone(job.id);
      expect(query.get("result")).toBe("timeout_exceeded");
      expect(query.get("reason")).toBe("timeout: setup exceeded MAX_SETUP_TIME");
      expect(textOf(job, "autoinst-log.txt")).toContain('Download of "fake.iso" failed at');
      fault.remove();
      await finishesNextJob(ui);
      expect(await worker.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  const answers: readonly (readonly [string, FaultAction, RegExp, number])[] = [
    ["an HTML page in place of an asset", htmlPage, /answered with an HTML page/, 1],
    [
      "redirects without end",
      { status: 302, headers: { location: "?again" } },
      /redirects more than 5 times/,
      6,
    ],
  ];
  test.each(answers)(
    "%s, at once",
    async (_, action, text, requests) => {
      const host = await openCachingHost();
      const fault = host.ui.fault(asset, action, Number.POSITIVE_INFINITY);
      const reason = await failure(host.ui);
      expect(reason).toStartWith(
        `cache failure: Failed to download fake.iso to ${cachedPath(host, "fake.iso")}: `,
      );
      expect(reason).toMatch(text);
      expect(host.ui.assetStatuses("fake.iso")).toHaveLength(requests);
      fault.remove();
      await finishesNextJob(host.ui);
    },
    testMs,
  );

  test.each([
    ["that leads elsewhere", "../fake.iso"],
    ["that is the folder above", ".."],
    ["with a detour", "iso/../fake.iso"],
    ["with a NUL", "a\0b.iso"],
    ["of 300 characters", "x".repeat(300)],
  ])(
    "an asset name %s",
    async (_, name) => {
      const { ui } = await openCachingHost();
      expect(await failure(ui, { ISO: name })).toStartWith("asset failure: Cannot find ISO asset ");
      expect(ui.requests.filter(({ path }) => path.includes("/asset/"))).toEqual([]);
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "no rsync",
    async () => {
      const place = await openCachePlace();
      for (const program of ["perl", "sh"])
        await symlink(Bun.which(program) ?? "", join(place.programs, program));
      const ui = await openWebUi();
      ui.assets.put("iso/fake.iso", "bytes of an iso");
      await openWorker(ui, cachingOptions(place, { env: { PATH: place.programs } }));
      await ui.registered();
      const missing = "rsync is not installed (install the package rsync)";
      expect(await failure(ui)).toBe(`cache failure: Failed to rsync tests: ${missing}`);
      await symlink(Bun.which("rsync") ?? "", join(place.programs, "rsync"));
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "rsync that fails, with what it wrote in the job's log",
    async () => {
      const host = await openCachingHost();
      await replaceRsync(host, "echo 'it is dark in here' >&2; exit 12");
      const job = host.ui.offer(plainJob);
      const { query } = await host.ui.setDone(job.id);
      expect(query.get("reason")).toBe("cache failure: Failed to rsync tests: exit code 12");
      expect(textOf(job, "autoinst-log.txt")).toContain("it is dark in here");
      await rm(join(host.programs, "rsync"));
      await finishesNextJob(host.ui);
    },
    testMs,
  );

  test(
    "an asset, which ends the test sync",
    async () => {
      const host = await openCachingHost();
      await replaceRsync(host, "sleep 60; exit 12");
      expect(await failure(host.ui, { ISO: "none.iso" })).toStartWith("asset failure: ");
      expect(await host.worker.jobProcesses()).toEqual([]);
      await rm(join(host.programs, "rsync"));
      await finishesNextJob(host.ui);
    },
    testMs,
  );

  test(
    "a test sync, which ends the download",
    async () => {
      const host = await openCachingHost();
      host.ui.fault(asset, "hang");
      await replaceRsync(host, `until [ -e '${host.programs}/go' ]; do sleep 0.02; done; exit 12`);
      const failed = failure(host.ui);
      await host.ui.request(asset);
      await writeFile(join(host.programs, "go"), "");
      expect(await failed).toBe("cache failure: Failed to rsync tests: exit code 12");
      await rm(join(host.programs, "rsync"));
      await finishesNextJob(host.ui);
    },
    testMs,
  );
});

test.each([
  ["fixed/fake.iso", "fake.iso"],
  [" fake.iso ", "fake.iso"],
  ["a b%2F#?&.iso", "a b%2F#?&.iso"],
])(
  "the asset name %p is that of the file %p",
  async (setting, name) => {
    const { ui, worker } = await openCachingHost();
    ui.assets.put(`iso/${name}`, "content");
    const job = ui.offer({ ...longJob, ISO: setting });
    await moduleReported(ui, job);
    expect(await readFile(join(worker.pool(), name), "utf8")).toBe("content");
    ui.cancel(job);
    await ui.setDone(job.id);
  },
  testMs,
);

describe("a cache directory", () => {
  test(
    "with an index that is garbage: the job passes, and the log says what became of it",
    async () => {
      const { ui, worker, cacheDirectory } = await openCachingHost();
      await mkdir(cacheDirectory, { recursive: true });
      await writeFile(join(cacheDirectory, "cache.sqlite"), "garbage ".repeat(1000));
      await finishesNextJob(ui);
      await worker.awaitLog(/\[warn\].*The index .*cache\.sqlite was damaged .*a new one has been made/);
      await finishesNextJob(ui);
      expect(ui.assetStatuses("fake.iso")).toEqual([200, 304]);
    },
    testMs,
  );

  test(
    "that is emptied between two jobs is filled again",
    async () => {
      const { ui, cacheDirectory } = await openCachingHost();
      await finishesNextJob(ui);
      await rm(cacheDirectory, { recursive: true });
      await finishesNextJob(ui);
      expect(ui.assetStatuses("fake.iso")).toEqual([200, 200]);
    },
    testMs,
  );

  test(
    "that is a file makes the slot unavailable until it is mended (field lesson 13)",
    async () => {
      const place = await openCachePlace();
      await writeFile(place.cacheDirectory, "no folder");
      await unavailableUntil(
        place,
        /^Worker cache not available: Cannot use the cache directory .*EEXIST/,
        () => rm(place.cacheDirectory),
      );
    },
    testMs,
  );

  test(
    "whose index is a folder makes the slot unavailable until it is mended",
    async () => {
      const place = await openCachePlace();
      const index = join(place.cacheDirectory, "cache.sqlite");
      await mkdir(index, { recursive: true });
      await unavailableUntil(place, /^Worker cache not available: The index .*cache\.sqlite is no file/, () =>
        rm(index, { recursive: true }),
      );
    },
    testMs,
  );

  async function unavailableUntil(
    place: CachePlace,
    reason: RegExp,
    mend: () => Promise<void>,
  ): Promise<void> {
    const ui = await openWebUi();
    ui.assets.put("iso/fake.iso", "bytes of an iso");
    const worker = await openWorker(ui, cachingOptions(place));
    await ui.registered();
    await expectUnavailable(ui, reason);
    await mend();
    await worker.awaitLog(/can take jobs again/);
    await finishesNextJob(ui);
  }

  test(
    "on a full disk makes the slot unavailable, and an asset that can never fit costs no other one its place (field lesson 27)",
    async () => {
      const place = await openCachePlace();
      await mkdir(place.cacheDirectory);
      const ui = await openWebUi();
      ui.assets.put("iso/fake.iso", "bytes of an iso");
      ui.assets.put("iso/huge.iso", randomContent(8_000_000));
      const worker = await openWorker(
        ui,
        cachingOptions(place, { launcher: onSmallDisk(place.cacheDirectory) }),
      );
      await ui.registered();
      const reason = await failure(ui, { ISO: "huge.iso" });
      expect(reason).toStartWith(
        `cache failure: Failed to download huge.iso to ${cachedPath(place, "huge.iso")}: `,
      );
      expect(reason).toContain(`No space left on the disk of ${place.cacheDirectory}`);
      await finishesNextJob(ui);
      expect(await failure(ui, { ISO: "huge.iso" })).toContain("No space left");
      await finishesNextJob(ui);
      expect(ui.assetStatuses("fake.iso")).toEqual([200, 304]);

      const seen = join("/proc", String(worker.pid), "root", place.cacheDirectory);
      await rm(join(seen, "127.0.0.1"), { recursive: true });
      await writeFile(join(seen, "other"), Buffer.alloc(16_000_000)).catch(() => {});
      await expectUnavailable(ui, /^Worker cache not available: the disk of .* is full/);
      await rm(join(seen, "other"));
      await worker.awaitLog(/can take jobs again/);
      await finishesNextJob(ui);
    },
    testMs,
  );
});

describe("two jobs that want the same asset at once cause one download", () => {
  test(
    "of two slots in one process",
    async () => {
      const { ui, worker } = await openCachingHost({
        instances: "1-2",
        own: { "cache.rate_window_ms": 1500 },
      });
      await expectOneDownload(ui, [worker, worker]);
    },
    testMs,
  );

  test(
    "of two processes",
    async () => {
      const place = await openCachePlace();
      const ui = await openWebUi();
      ui.assets.put("iso/fake.iso", "bytes of an iso");
      const options = (instances: string) =>
        cachingOptions(place, { instances, own: { "cache.rate_window_ms": 1500 } });
      const first = await openWorker(ui, options("1"));
      await ui.registered();
      await expectOneDownload(ui, [first, await openWorker(ui, options("2"))]);
    },
    testMs,
  );

  async function expectOneDownload(ui: FakeWebUi, workers: readonly TemporaryWorker[]): Promise<void> {
    for (const workerId of [1, 2]) await ui.message((message) => message.workerId === workerId);
    ui.fault(asset, { stallAfter: 5 });
    const jobs = [1, 2].map((workerId) => ui.offer(plainJob, workerId));
    for (const [index, { id }] of jobs.entries())
      await workers[index]?.awaitLog(new RegExp(`Setting up job ${id} `));
    for (const { id } of jobs) await ui.setDone(id);
    expect(jobs.map(({ result }) => result)).toEqual(["passed", "passed"]);
    expect(ui.assetStatuses("fake.iso")).toEqual([200, 206, 304]);
  }
});

/** The slot says that it is broken, and takes no job. */
async function expectUnavailable(ui: FakeWebUi, reason: RegExp): Promise<void> {
  const { value } = await ui.message(
    ({ value: { type, status, reason: said } }) =>
      type === "worker_status" && status === "broken" && reason.test(String(said)),
  );
  const job = ui.offer(plainJob);
  expect((await rejected(ui, job.id)).value["reason"]).toBe(value["reason"]);
}

/** Reason of a job that ends incomplete. */
async function failure(ui: FakeWebUi, settings: Record<string, string> = {}): Promise<string> {
  const before = performance.now();
  const job = ui.offer({ ...plainJob, ...settings });
  const { query } = await ui.setDone(job.id);
  expect(performance.now() - before).toBeLessThan(5000);
  expect(query.get("result")).toBe("incomplete");
  expect(ui.uploadsOf(job.id).sort()).toEqual(["autoinst-log.txt", "worker-log.txt"]);
  return query.get("reason") ?? "";
}

/** Size of the only unfinished download, as soon as something of it is on disk. */
async function partialBytes({ cacheDirectory }: CachePlace): Promise<number> {
  const folder = join(cacheDirectory, ".openqa-worker/partial");
  return await until("a part of an asset is there", async () => {
    const names = (await readdir(folder).catch(() => [])).filter((name) => /^[0-9a-f]+$/.test(name));
    const [file] = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)));
    return file?.size || undefined;
  });
}

/** What `cache list --json` prints. */
async function listing(cacheDirectory: string): Promise<string> {
  const command = [executable, "cache", "list", "--json", "--directory", cacheDirectory];
  return await new Response(Bun.spawn(command, { stdio: ["ignore", "pipe", "inherit"] }).stdout).text();
}

function textOf(job: FakeJob, name: string): string {
  return job.files.get(name)?.toString() ?? "";
}

async function found(path: string): Promise<true | undefined> {
  return (await Bun.file(path).exists()) || undefined;
}

/** Runs a program where the folder is a file system of 4 MB, which goes with the program. */
function onSmallDisk(folder: string): NonNullable<TemporaryWorkerOptions["launcher"]> {
  const script = `mount -t tmpfs -o size=4m tmpfs '${folder}' && exec "$@"`;
  const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
  return ["unshare", "--mount", ...asRoot, "sh", "-c", script, "sh"];
}
