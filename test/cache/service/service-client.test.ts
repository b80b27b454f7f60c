import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CacheService } from "../../../src/cache/service/service-client.ts";
import type { CacheSettings } from "../../../src/config/settings.ts";
import type { Context } from "../../../src/context.ts";
import { AssetRefusedError, CacheError } from "../../../src/errors.ts";
import { type LogEntry, Logger } from "../../../src/ops/log.ts";
import { enqueuedBodies, type RecordedName, recordedCalls } from "./recorded-conversations.ts";
import { type Answer, idleInfo, json, ScriptedService, text } from "./scripted-service.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "service-client-"));
});
afterAll(() => rm(folder, { recursive: true }));

type ServiceSettings = Pick<CacheSettings, "service" | "maxWaiting" | "maxWaitingOfJob" | "sync">;

const settings: ServiceSettings = {
  service: {
    url: undefined,
    localUrl: "http://127.0.0.1:1",
    tries: 3,
    retryDelayMs: 1,
    pollIntervalMs: 2,
    checkTimeoutMs: 100,
  },
  maxWaiting: 5,
  maxWaitingOfJob: 45,
  sync: { timeoutMs: 1000, tries: 1, retryDelayMs: 1, rounds: 3 },
};

/** Collects log lines. */
function startContext(signal = new AbortController().signal): Context & { readonly entries: LogEntry[] } {
  const entries: LogEntry[] = [];
  return { signal, log: new Logger([(entry) => entries.push(entry)]), entries };
}

function textsOf({ entries }: { readonly entries: readonly LogEntry[] }): readonly string[] {
  return entries.map(({ text }) => text);
}

const asset = { jobId: "31", type: "iso", name: "a.iso", host: "http://127.0.0.1:19546" };

function busyInfo(inactiveJobs: number): Answer {
  return json({ ...idleInfo, inactive_jobs: inactiveJobs });
}

const downloading = json({ status: "downloading" });

function processed(fields: object): Answer {
  return json({ status: "processed", result: null, output: null, has_download_error: null, ...fields });
}

/** A service that takes one request and answers its status so. */
function serviceWith(...statuses: Answer[]): ScriptedService {
  return new ScriptedService({
    "GET /info": json(idleInfo),
    "POST /enqueue": json({ status: "downloading", id: 7 }),
    "GET /status/7": statuses,
  });
}

describe("availability", () => {
  const cases: [string, Answer, string | undefined][] = [
    ["idle", json(idleInfo), undefined],
    ["all workers busy", json({ ...idleInfo, active_workers: 1, inactive_workers: 0 }), undefined],
    ["no workers", json({ ...idleInfo, inactive_workers: 0 }), "No workers active in the cache service"],
    ["as many waiting as allowed", busyInfo(5), undefined],
    ["more waiting than allowed", busyInfo(6), "Cache service queue already full (5)"],
    ["a refusal with text", json({ error: "no" }, 500), "Cache service info error from API: no"],
    ["a refusal without", text("<html>", { status: 502 }), "Cache service info error 502: Bad Gateway"],
    ["an answer that is no JSON", text("<html>"), "Cache service info error: 200 non-JSON response"],
  ];
  for (const [what, info, problem] of cases)
    test(`of a service: ${what}`, async () => {
      await using service = new ScriptedService({ "GET /info": info });
      expect(await new CacheService(service.url, settings).findProblem(startContext())).toBe(problem);
    });

  test("is tried once: a service that is not there is named at once", async () => {
    const context = startContext();
    expect(await new CacheService("http://127.0.0.1:1", settings).findProblem(context)).toBe(
      "Cache service info error: Connection refused",
    );
    expect(context.entries).toEqual([]);
  });

  test("has a time limit", async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    await using service = new ScriptedService({ "GET /info": () => promise });
    expect(await new CacheService(service.url, settings).findProblem(startContext())).toBe(
      "Cache service info error: Inactivity timeout",
    );
    resolve(Response.json(idleInfo));
  });

  test("ends at once when aborted", async () => {
    const stop = new AbortController();
    await using service = new ScriptedService({
      "GET /info": async () => {
        stop.abort(new Error("stopped"));
        return await new Promise<Response>(() => {});
      },
    });
    const patient = { ...settings, service: { ...settings.service, checkTimeoutMs: 60_000 } };
    const problem = new CacheService(service.url, patient).findProblem(startContext(stop.signal));
    await expect(problem).rejects.toThrow("stopped");
  });

  test("names a CACHESERVICEURL that is none", async () => {
    expect(await new CacheService("localhost:9530", settings).findProblem(startContext())).toBe(
      'CACHESERVICEURL is "localhost:9530", expected http://HOST:PORT of a cache service',
    );
  });

  test("no limit of waiting downloads is passed when there is none", async () => {
    await using service = new ScriptedService({ "GET /info": busyInfo(9999) });
    const unlimited = { ...settings, maxWaiting: Number.POSITIVE_INFINITY };
    expect(await new CacheService(service.url, unlimited).findProblem(startContext())).toBeUndefined();
  });
});

describe("an asset", () => {
  test("is there when the service has processed the request; its output goes to the log", async () => {
    const output = "[info] [#7] Download of it successful\n";
    await using service = serviceWith(
      downloading,
      downloading,
      processed({ has_download_error: false, output }),
    );
    const context = startContext();
    const fetched = await new CacheService(service.url, settings).fetchAsset(asset, context);
    expect(fetched).toEqual({ output, hasError: false });
    expect(service.calls).toEqual([
      "GET /info",
      "POST /enqueue",
      "GET /status/7",
      "GET /status/7",
      "GET /status/7",
    ]);
    expect(textsOf(context)).toEqual([
      "Downloading a.iso, request #7 sent to Cache Service",
      `Download of a.iso processed:\n${output}`,
    ]);
  });

  test("is looked at soon, whatever the interval", async () => {
    await using service = serviceWith(processed({ has_download_error: false }));
    const slow = { ...settings, service: { ...settings.service, pollIntervalMs: 60_000 } };
    const startMs = performance.now();
    await new CacheService(service.url, slow).fetchAsset(asset, startContext());
    expect(performance.now() - startMs).toBeLessThan(2000);
  });

  const outcomes: [string, object, unknown][] = [
    [
      "had errors",
      { has_download_error: true, output: "failed: 521 Connection refused" },
      { hasError: true },
    ],
    ["says nothing", {}, { hasError: false, output: "" }],
    ["succeeded in the end", { has_download_error: false, output: "failed: 404 x" }, { hasError: false }],
    ["mentions sizes", { has_download_error: true, output: "Cache size is 412 MiB" }, { hasError: true }],
  ];
  for (const [what, status, expected] of outcomes)
    test(`whose request ${what}`, async () => {
      await using service = serviceWith(processed(status));
      const fetched = await new CacheService(service.url, settings).fetchAsset(asset, startContext());
      expect(fetched).toMatchObject(expected as object);
    });

  test("that the web UI refuses is an error of its own, also when another request found out", async () => {
    const output = '[info] [#7] Download of "/c/h/a.iso" failed: 404 Not Found\n';
    for (const has_download_error of [true, null]) {
      await using service = serviceWith(processed({ has_download_error, output }));
      const error = await new CacheService(service.url, settings)
        .fetchAsset(asset, startContext())
        .catch((e) => e);
      expect(error).toBeInstanceOf(AssetRefusedError);
      expect(error).toMatchObject({ status: 404, message: "Download of a.iso failed: 404 Not Found" });
    }
  });

  const failures: [string, Record<string, Answer>, string][] = [
    [
      "refused requests",
      { "POST /enqueue": json({ error: "No task defined" }, 400) },
      "Failed to send asset request for a.iso: Cache service enqueue error from API: No task defined",
    ],
    [
      "requests without id",
      { "POST /enqueue": json({ status: "downloading" }) },
      "Failed to send asset request for a.iso: Cache service enqueue error: Minion job id missing from response",
    ],
    [
      "a job that died",
      { "GET /status/7": json({ error: "Minion job #7 failed: Worker went away" }, 500) },
      "Cache service status error from API: Minion job #7 failed: Worker went away",
    ],
    [
      "a status that nobody knows",
      { "GET /status/7": json({ status: 3 }) },
      'Cache service status error: unexpected response {"status":3}',
    ],
    ["a full queue", { "GET /info": busyInfo(46) }, "Cache service queue already full (5)"],
    [
      "no workers",
      { "GET /info": json({ ...idleInfo, inactive_workers: 0 }) },
      "No workers active in the cache service",
    ],
  ];
  for (const [what, answers, text] of failures)
    test(`fails with the stock worker's text: ${what}`, async () => {
      await using service = new ScriptedService({
        "GET /info": json(idleInfo),
        "POST /enqueue": json({ status: "downloading", id: 7 }),
        "GET /status/7": processed({}),
        ...answers,
      });
      const error = await new CacheService(service.url, settings)
        .fetchAsset(asset, startContext())
        .catch((e) => e);
      expect(error).toBeInstanceOf(CacheError);
      expect(error.message).toBe(text);
    });

  test("of a job that was taken may wait behind more downloads than make the slot unavailable (field lesson 20)", async () => {
    await using service = new ScriptedService({
      "GET /info": busyInfo(45),
      "POST /enqueue": json({ status: "downloading", id: 7 }),
      "GET /status/7": processed({ has_download_error: false }),
    });
    await new CacheService(service.url, settings).fetchAsset(asset, startContext());
    expect(service.calls).toContain("POST /enqueue");
  });

  test("is tried for as often as configured while there is no connection", async () => {
    const context = startContext();
    const error = await new CacheService("http://127.0.0.1:1", settings)
      .fetchAsset(asset, context)
      .catch((e) => e);
    expect(error.message).toBe("Cache service info error: Connection refused");
    expect(textsOf(context)).toEqual([
      "Cache service info error: Connection refused at http://127.0.0.1:1 (remaining tries: 2)",
      "Cache service info error: Connection refused at http://127.0.0.1:1 (remaining tries: 1)",
    ]);
  });

  test("survives a restart of the service (field lesson 18)", async () => {
    const service = serviceWith(downloading);
    const { port } = new URL(service.url);
    const patient = { ...settings, service: { ...settings.service, tries: 10_000 } };
    const noticed = Promise.withResolvers<void>();
    const log = new Logger([({ text }) => text.includes("remaining tries") && noticed.resolve()]);
    const fetched = new CacheService(service.url, patient).fetchAsset(asset, { ...startContext(), log });
    await service[Symbol.asyncDispose]();
    await noticed.promise;
    await using _ = new ScriptedService(
      {
        "GET /info": json(idleInfo),
        "POST /enqueue": json({ status: "downloading", id: 7 }),
        "GET /status/7": processed({ has_download_error: false, output: "late" }),
      },
      Number(port),
    );
    expect(await fetched).toEqual({ output: "late", hasError: false });
  });

  test("is no longer waited for when aborted", async () => {
    const stop = new AbortController();
    await using service = serviceWith(() => {
      stop.abort(new Error("cancelled"));
      return downloading();
    });
    const slow = { ...settings, service: { ...settings.service, pollIntervalMs: 60_000 } };
    const fetched = new CacheService(service.url, slow).fetchAsset(asset, startContext(stop.signal));
    await expect(fetched).rejects.toThrow("cancelled");
  });
});

describe("a sync", () => {
  const sync = () => ({ from: "rsync://host/tests", to: join(folder, "host") });

  test("comes to an end with the service's output in the log, and finds its folder made", async () => {
    await using service = serviceWith(downloading, processed({ result: "exit code 0", output: "x/\n" }));
    const context = startContext();
    await new CacheService(service.url, settings).syncTests(sync(), context);
    expect(textsOf(context)).toEqual([
      `Rsync from 'rsync://host/tests' to '${folder}/host', request #7 sent to Cache Service`,
      "Output of rsync:\nx/\n",
      "Finished to rsync tests",
    ]);
    expect((await stat(join(folder, "host"))).isDirectory()).toBe(true);
    expect(service.calls).toEqual(["POST /enqueue", "GET /status/7", "GET /status/7"]);
  });

  test("that another request has done is one, too", async () => {
    await using service = serviceWith(processed({}));
    await new CacheService(service.url, settings).syncTests(sync(), startContext());
  });

  for (const [code, why] of [
    [10, "Error in socket I/O"],
    [23, "Partial transfer due to error"],
    [24, "Partial transfer due to vanished source files"],
  ])
    test(`is asked for again after exit code ${code}`, async () => {
      const failure = processed({ result: `exit code ${code}` });
      await using service = serviceWith(failure, failure, processed({ result: "exit code 0" }));
      const context = startContext();
      await new CacheService(service.url, settings).syncTests(sync(), context);
      expect(textsOf(context)).toContain(`${why} (exit code ${code}), trying again`);
      expect(service.calls.filter((call) => call === "POST /enqueue")).toHaveLength(3);
    });

  test("fails after as many rounds as configured", async () => {
    await using service = serviceWith(processed({ result: "exit code 23" }));
    const error = await new CacheService(service.url, settings)
      .syncTests(sync(), startContext())
      .catch((e) => e);
    expect(error).toEqual(new CacheError("Failed to rsync tests: exit code 23"));
    expect(service.calls.filter((call) => call === "POST /enqueue")).toHaveLength(3);
  });

  test("fails at once with another exit code", async () => {
    await using service = serviceWith(processed({ result: "exit code 12" }));
    const error = await new CacheService(service.url, settings)
      .syncTests(sync(), startContext())
      .catch((e) => e);
    expect(error).toEqual(new CacheError("Failed to rsync tests: exit code 12"));
    expect(service.calls.filter((call) => call === "POST /enqueue")).toHaveLength(1);
  });

  test("that is not taken is named with source and target", async () => {
    await using service = new ScriptedService({ "POST /enqueue": json({ error: "no" }, 400) });
    const error = await new CacheService(service.url, settings)
      .syncTests(sync(), startContext())
      .catch((e) => e);
    expect(error.message).toBe(
      `Failed to send rsync from 'rsync://host/tests' to '${folder}/host': Cache service enqueue error from API: no`,
    );
  });
});

describe("recorded conversations", () => {
  /** Answers as the recorded service did. */
  function replay(name: RecordedName): ScriptedService {
    const answers: Record<string, Answer[]> = {};
    for (const { call, answer, status } of recordedCalls(name, folder)) {
      answers[call] ??= [];
      answers[call].push(json(answer, status));
    }
    return new ScriptedService(answers);
  }

  const cases: [RecordedName, string][] = [
    ["debian-2023/pass_cold", "31"],
    ["debian-2023/pass_warm", "32"],
    ["git-2026/pass_cold", "3"],
  ];
  for (const [name, jobId] of cases)
    test(`${name}: the same requests are made, and succeed`, async () => {
      await using service = replay(name);
      const [assetBody, syncBody] = enqueuedBodies(recordedCalls(name, folder));
      const [, type, file, host] = assetBody!.args.map(String);
      const [from, to] = syncBody!.args.map(String);
      const client = new CacheService(service.url, settings);
      const fetched = await client.fetchAsset(
        { jobId, type: type!, name: file!, host: host! },
        startContext(),
      );
      expect(fetched.hasError).toBe(false);
      expect(fetched.output).toContain(file!);
      await client.syncTests({ from: from!, to: to! }, startContext());
      const bodies = service.requests.filter(({ call }) => call === "POST /enqueue").map(({ body }) => body);
      expect(bodies).toEqual([assetBody, syncBody]);
    });

  test("debian-2023/missing: the asset is refused", async () => {
    await using service = replay("debian-2023/missing");
    const [body] = enqueuedBodies(recordedCalls("debian-2023/missing", folder));
    const missing = { jobId: "20", type: "iso", name: "no-such-file.iso", host: String(body!.args[3]) };
    const error = await new CacheService(service.url, settings)
      .fetchAsset(missing, startContext())
      .catch((e) => e);
    expect(error).toBeInstanceOf(AssetRefusedError);
    expect(service.requests.find(({ call }) => call === "POST /enqueue")?.body).toEqual(body);
  });
});
