import { describe, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { type CacheServerOptions, serveCache } from "../../../src/cache/service/cache-server.ts";
import { findCacheService } from "../../../src/cache/service/service-client.ts";
import { AssetRefusedError, CacheError, UsageError } from "../../../src/errors.ts";
import { type LogEntry, Logger } from "../../../src/ops/log.ts";
import { PlayedWork } from "./played-work.ts";
import { enqueuedBodies, recordedCalls, recordedNames } from "./recorded-conversations.ts";
import { idleInfo, json, ScriptedService, text } from "./scripted-service.ts";

async function startServer(options: Partial<CacheServerOptions> = {}) {
  const work = new PlayedWork();
  const entries: LogEntry[] = [];
  const stop = new AbortController();
  const context = { signal: stop.signal, log: new Logger([(entry) => entries.push(entry)]) };
  const server = await serveCache(
    {
      listen: [{ hostname: "127.0.0.1", port: 0 }],
      workers: 2,
      allowSync: () => undefined,
      allowAsset: () => undefined,
      work,
      ...options,
    },
    context,
  );
  const url = server.urls[0]!;
  const call = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${url}${path}`, init);
    const text = await answer.text();
    return { status: answer.status, text, body: text.startsWith("{") ? JSON.parse(text) : undefined };
  };
  const enqueue = (body: unknown) => call("/enqueue", { method: "POST", body: JSON.stringify(body) });
  return {
    server,
    url,
    work,
    entries,
    stop,
    call,
    enqueue,
    async enqueueAsset(name: string, jobId = 1): Promise<number> {
      const args = [jobId, "iso", name, "http://host"];
      return (await enqueue({ task: "cache_asset", args, lock: `${name}.http://host` })).body.id;
    },
    async enqueueSync(from: string): Promise<number> {
      return (
        await enqueue({ task: "cache_tests", args: [from, "/cache/host"], lock: `${from}./cache/host` })
      ).body.id;
    },
    /** The status once it is no longer "downloading". */
    async ended(id: number) {
      for (;;) {
        const status = await call(`/status/${id}`);
        if (status.body.status !== "downloading") return status;
        await setImmediate();
      }
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

describe("an asset", () => {
  test("is downloading until it is fetched; the log text is the output", async () => {
    await using service = await startServer();
    const id = await service.enqueueAsset("a.iso", 31);
    expect((await service.call(`/status/${id}`)).body).toEqual({ status: "downloading" });
    const [fetched] = service.work.fetches;
    expect(fetched?.asset).toEqual({ jobId: "31", type: "iso", name: "a.iso", host: "http://host" });
    fetched?.context.log.debug("not for clients");
    fetched?.context.log.info('Download of "/c/a.iso" successful');
    fetched?.end();
    expect(await service.ended(id)).toMatchObject({
      status: 200,
      body: {
        status: "processed",
        result: null,
        output: `[info] [#${id}] Download of "/c/a.iso" successful\n`,
        has_download_error: false,
      },
    });
    expect(service.entries.map(({ text }) => text)).toContain('Download of "/c/a.iso" successful');
  });

  test("that could not be fetched has an error, whose text no stock worker takes for a refusal", async () => {
    await using service = await startServer();
    const id = await service.enqueueAsset("a.iso");
    service.work.fetches[0]?.context.log.info("Purged 412 MiB");
    service.work.fetches[0]?.end(new CacheError("No answer for 480 s"));
    const { body } = await service.ended(id);
    expect(body).toMatchObject({ status: "processed", result: null, has_download_error: true });
    expect(body.output).toBe(
      `[info] [#${id}] Purged 412\u00a0MiB\n[error] [#${id}] No answer for 480\u00a0s\n`,
    );
    expect(body.output).not.toMatch(/4\d\d /);
  });

  test("that the web UI refused has the status in its output, by which stock workers know", async () => {
    await using service = await startServer();
    const terse = await service.enqueueAsset("a.iso");
    service.work.fetches[0]?.end(new AssetRefusedError("not among the job's", 404));
    const said = await service.enqueueAsset("b.iso");
    service.work.fetches[1]?.end(new AssetRefusedError('Download of "/c/b.iso" failed: 403 Forbidden', 403));
    expect((await service.ended(terse)).body.output).toBe(
      `[error] [#${terse}] not among the job's\n[info] [#${terse}] Download of "a.iso" failed: 404 Not Found\n`,
    );
    expect((await service.ended(said)).body).toMatchObject({
      has_download_error: true,
      output: `[error] [#${said}] Download of "/c/b.iso" failed: 403 Forbidden\n`,
    });
  });

  test("of which several jobs ask is fetched once, with one outcome for all", async () => {
    await using service = await startServer();
    const first = await service.enqueueAsset("a.iso", 1);
    const second = await service.enqueueAsset("a.iso", 2);
    expect(second).not.toBe(first);
    expect(service.work.fetches).toHaveLength(1);
    service.work.fetches[0]?.context.log.info("once");
    service.work.fetches[0]?.end();
    for (const id of [first, second])
      expect((await service.ended(id)).body).toMatchObject({
        has_download_error: false,
        output: `[info] [#${first}] once\n`,
      });
  });

  test("is looked at again when it is asked for after that", async () => {
    await using service = await startServer();
    const first = await service.enqueueAsset("a.iso");
    service.work.fetches[0]?.end();
    await service.ended(first);
    await service.enqueueAsset("a.iso");
    expect(service.work.fetches).toHaveLength(2);
  });

  test("waits while as many others are fetched as there are workers", async () => {
    await using service = await startServer({ workers: 2 });
    for (const name of ["a", "b", "c"]) await service.enqueueAsset(name);
    expect((await service.call("/info")).body).toMatchObject({ active_jobs: 2, inactive_jobs: 1 });
    expect(service.work.fetches.map(({ asset }) => asset.name)).toEqual(["a", "b"]);
    service.work.fetches[0]?.end();
    while (service.work.fetches.length < 3) await setImmediate();
    expect((await service.call("/info")).body).toMatchObject({
      active_jobs: 2,
      inactive_jobs: 0,
      finished_jobs: 1,
    });
  });

  test("whose work fails unexpectedly is an error of the service, for all who wait", async () => {
    await using service = await startServer();
    const first = await service.enqueueAsset("a.iso", 1);
    const second = await service.enqueueAsset("a.iso", 2);
    service.work.fetches[0]?.end(new TypeError("undefined is not a function"));
    for (const id of [first, second])
      expect(await service.ended(id)).toMatchObject({
        status: 500,
        body: { error: `Minion job #${first} failed: undefined is not a function` },
      });
    expect((await service.call("/info")).body).toMatchObject({ failed_jobs: 2, finished_jobs: 0 });
    expect(service.entries.filter(({ level }) => level === "error").map(({ text }) => text)).toEqual([
      `Request #${first} (asset "a.iso" of http://host for job 1) failed: undefined is not a function`,
    ]);
  });
});

describe("a sync", () => {
  test("has the exit code of rsync as result", async () => {
    await using service = await startServer();
    for (const code of [0, 23]) {
      const id = await service.enqueueSync("rsync://host/tests");
      const sync = service.work.syncs.at(-1);
      expect(sync?.sync).toEqual({ from: "rsync://host/tests", to: "/cache/host" });
      sync?.context.log.info("Calling: rsync");
      sync?.end(code);
      expect((await service.ended(id)).body).toEqual({
        status: "processed",
        result: `exit code ${code}`,
        output: `[info] [#${id}] Calling: rsync\n`,
        has_download_error: null,
      });
    }
  });

  test("that another request has done has no result, unless it failed", async () => {
    await using service = await startServer();
    for (const [code, result] of [
      [0, null],
      [12, "exit code 12"],
    ] as const) {
      await service.enqueueSync("rsync://host/tests");
      const waiting = await service.enqueueSync("rsync://host/tests");
      service.work.syncs.at(-1)?.end(code);
      expect((await service.ended(waiting)).body).toMatchObject({ status: "processed", result });
    }
  });

  test("never waits behind downloads (field lesson 20)", async () => {
    await using service = await startServer({ workers: 1 });
    for (const name of ["a", "b", "c"]) await service.enqueueAsset(name);
    await service.enqueueSync("rsync://host/tests");
    expect(service.work.syncs).toHaveLength(1);
  });
});

describe("what is refused", () => {
  test("by the options is named, and logged once", async () => {
    await using service = await startServer({
      allowSync: (from, to) => (to === "/cache/host" ? undefined : `${to} is not in the cache (${from})`),
      allowAsset: ({ host }) => (host === "http://host" ? undefined : `unknown host ${host}`),
    });
    const sync = { task: "cache_tests", args: ["rsync://x", "/etc"], lock: "x" };
    const asset = { task: "cache_asset", args: [1, "iso", "a.iso", "evil"], lock: "x" };
    for (const body of [sync, sync, asset]) await service.enqueue(body);
    expect(await service.enqueue(sync)).toMatchObject({
      status: 400,
      body: { error: "/etc is not in the cache (rsync://x)" },
    });
    expect(service.work.syncs).toEqual([]);
    expect(service.work.fetches).toEqual([]);
    expect(service.entries.map(({ level, text }) => `${level} ${text}`)).toEqual([
      "warn Refused a request: /etc is not in the cache (rsync://x)",
      "warn Refused a request: unknown host evil",
    ]);
  });

  test("as it makes no sense", async () => {
    await using service = await startServer();
    expect(await service.enqueue({})).toMatchObject({ status: 400, text: '{"error":"No task defined"}' });
    const tooLong = { task: "cache_asset", args: ["x".repeat(100_000)], lock: "x" };
    expect((await service.enqueue(tooLong)).status).toBe(413);
  });

  test("when too many are not finished", async () => {
    await using service = await startServer();
    const sync = JSON.stringify({ task: "cache_tests", args: ["rsync://x", "/cache/host"], lock: "x" });
    let last = await service.call("/enqueue", { method: "POST", body: sync });
    for (let count = 1; count <= 10_000; count++)
      last = await service.call("/enqueue", { method: "POST", body: sync });
    expect(last).toMatchObject({ status: 503, body: { error: "Too many requests are waiting" } });
  }, 20_000);
});

describe("other requests", () => {
  const notFound: [string, RequestInit][] = [
    ["/", {}],
    ["/minion", {}],
    ["/status", {}],
    ["/status/", {}],
    ["/status/abc", {}],
    ["/status/1/x", {}],
    ["/enqueue", {}],
    ["/info", { method: "POST" }],
  ];
  for (const [path, init] of notFound)
    test(`${init.method ?? "GET"} ${path} is not found`, async () => {
      await using service = await startServer();
      expect(await service.call(path, init)).toMatchObject({ status: 404, text: "Not found" });
    });

  test("the status of a request that nobody has made", async () => {
    await using service = await startServer();
    for (const id of ["0", "1", "99999999999999999999"])
      expect(await service.call(`/status/${id}`)).toMatchObject({
        status: 404,
        text: '{"error":"Specified job ID is invalid"}',
      });
  });

  test("the information has the keys of the stock service, and one by which ours is known", async () => {
    await using service = await startServer();
    const { body } = await service.call("/info");
    expect(body).toEqual({ ...idleInfo, uptime: 0, service: "openqa-worker" });
    expect(await findCacheService(service.url, { signal: service.stop.signal, log: new Logger([]) })).toBe(
      "ours",
    );
  });

  test("the metrics are those of the stock service", async () => {
    await using service = await startServer({ workers: 1 });
    await service.enqueueAsset("a");
    await service.enqueueAsset("b");
    const before = (await service.call("/influxdb/minion")).text;
    expect(before).toBe(
      `openqa_minion_jobs,url=${service.url} active=1i,delayed=0i,failed=0i,inactive=1i\n` +
        `openqa_minion_workers,url=${service.url} active=1i,inactive=0i,registered=1i\n` +
        `openqa_download_count,url=${service.url} count=1i\n`,
    );
    service.work.downloadRateBytesPerS = 1234.5;
    expect((await service.call("/influxdb/minion")).text).toBe(
      `${before}openqa_download_rate,url=${service.url} bytes=1234i\n`,
    );
  });
});

test("ids do not come again after a restart", async () => {
  await using first = await startServer();
  const id = await first.enqueueAsset("a");
  expect(id).toBeGreaterThan(1_700_000_000);
  expect(await first.enqueueAsset("b")).toBe(id + 1);
});

describe("closing", () => {
  test("ends what runs and what waits, and resolves when it has ended", async () => {
    const service = await startServer({ workers: 1 });
    await service.enqueueAsset("a");
    await service.enqueueAsset("b");
    await service.enqueueSync("c");
    await service.server.close();
    expect(service.work.fetches).toHaveLength(1);
    for (const { context } of [...service.work.fetches, ...service.work.syncs])
      expect(context.signal.aborted).toBe(true);
    await expect(service.call("/info")).rejects.toThrow();
    expect(service.entries.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("waits for work that needs time to end", async () => {
    const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
    let hasEnded = false;
    const work = new PlayedWork();
    work.fetchAsset = async () => {
      await mayEnd;
      hasEnded = true;
    };
    const service = await startServer({ work });
    await service.enqueueAsset("a");
    const closed = service.server.close();
    end();
    await closed;
    expect(hasEnded).toBe(true);
  });
});

describe("listening", () => {
  test("on both loopback addresses, and on these only", async () => {
    await using service = await startServer({
      listen: [
        { hostname: "127.0.0.1", port: 0 },
        { hostname: "::1", port: 0 },
      ],
    });
    expect(service.server.urls).toHaveLength(2);
    for (const url of service.server.urls) expect((await fetch(`${url}/info`)).status).toBe(200);
    const { port } = new URL(service.url);
    await expect(fetch(`http://127.0.0.2:${port}/info`)).rejects.toThrow();
  });

  test("where a stock service runs fails, with what to do", async () => {
    await using stock = new ScriptedService({ "GET /info": json(idleInfo) });
    const port = Number(new URL(stock.url).port);
    const error = await startServer({ listen: [{ hostname: "127.0.0.1", port }] }).catch((e) => e);
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toBe(
      `Cannot listen on 127.0.0.1:${port}: a stock cache service runs there. Stop it first (systemctl stop ` +
        "openqa-worker-cacheservice openqa-worker-cacheservice-minion), or choose another address with --listen",
    );
  });

  test("where another of ours runs fails, and frees what it has got", async () => {
    await using service = await startServer();
    const port = Number(new URL(service.url).port);
    const free = { hostname: "::1", port };
    const taken = { hostname: "127.0.0.1", port };
    const error = await startServer({ listen: [free, taken] }).catch((e) => e);
    expect(error.message).toBe(
      `Cannot listen on 127.0.0.1:${port}: another "cache serve" runs there already`,
    );
    await using _ = await startServer({ listen: [free] });
  });

  test("where something else runs fails", async () => {
    await using other = new ScriptedService({ "GET /info": text("hello") });
    const port = Number(new URL(other.url).port);
    const error = await startServer({ listen: [{ hostname: "127.0.0.1", port }] }).catch((e) => e);
    expect(error.message).toBe(
      `Cannot listen on 127.0.0.1:${port}: another program listens there. Choose another address with --listen`,
    );
  });

  test("leaves out an address that the host does not have, unless it is the only one", async () => {
    const absent = { hostname: "192.0.2.1", port: 0 };
    await using service = await startServer({ listen: [absent, { hostname: "127.0.0.1", port: 0 }] });
    expect(service.server.urls).toHaveLength(1);
    expect(service.entries.map(({ text }) => text)).toEqual([
      expect.stringContaining("Cannot listen on 192.0.2.1:0: EADDRNOTAVAIL"),
    ]);
    const error = await startServer({ listen: [absent] }).catch((e) => e);
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toContain("Cannot listen on 192.0.2.1:0");
  });
});

describe("recorded requests of stock workers", () => {
  for (const name of recordedNames)
    test(`${name}: the answers have the form of the recorded ones`, async () => {
      const calls = recordedCalls(name, "/var/lib/openqa");
      await using service = await startServer();
      for (const body of enqueuedBodies(calls)) {
        const isAsset = body.task === "cache_asset";
        const enqueued = await service.enqueue(body);
        const { id } = enqueued.body;
        expect(enqueued).toMatchObject({ status: 200, body: { status: "downloading", id } });
        const isMissing = name === "debian-2023/missing";
        if (isAsset)
          service.work.fetches
            .at(-1)
            ?.end(isMissing ? new AssetRefusedError("Download of it failed: 404 Not Found", 404) : undefined);
        else service.work.syncs.at(-1)?.end(0);
        const recorded = calls.filter(({ answer }) => answer["status"] === "processed")[isAsset ? 0 : 1];
        const status = await service.ended(id);
        expect(Object.keys(status.body).sort()).toEqual(Object.keys(recorded!.answer).sort());
        expect({ ...status.body, output: "" }).toEqual({ ...recorded!.answer, output: "" });
      }
      const info = calls.find(({ call }) => call === "GET /info");
      expect(Object.keys((await service.call("/info")).body)).toEqual(
        expect.arrayContaining(Object.keys(info!.answer)),
      );
    });
});
