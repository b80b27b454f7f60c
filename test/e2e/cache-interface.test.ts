// The cache service's interface against the stock ones: our client with the stock service, the stock client with ours.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CacheServerOptions, serveCache } from "../../src/cache/service/cache-server.ts";
import { CacheService, findCacheService } from "../../src/cache/service/service-client.ts";
import { AssetRefusedError, CacheError, UsageError } from "../../src/errors.ts";
import { silentLog } from "../../src/ops/log.ts";
import { freePorts } from "./ports.ts";
import { createMark, Daemon, run } from "./processes.ts";
import { until } from "./until.ts";

const context = { signal: new AbortController().signal, log: silentLog };
/** From OPENQA_BASE_PORT to the cache service. */
const portDelta = 4;
const limitMs = 60_000;

let folder: string;
let cacheDirectory: string;
let tests: string;
let port: number;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cache-interface-"));
  cacheDirectory = join(folder, "cache");
  tests = join(folder, "tests");
  await mkdir(cacheDirectory);
  await mkdir(tests);
  await writeFile(join(tests, "main.pm"), "1;");
  await writeFile(join(folder, "workers.ini"), `[global]\nCACHEDIRECTORY = ${cacheDirectory}\n`);
  port = (await freePorts(portDelta + 1)) + portDelta;
  env = {
    PATH: "/usr/bin:/bin",
    HOME: folder,
    OPENQA_CONFIG: folder,
    OPENQA_BASE_PORT: String(port - portDelta),
    OPENQA_RSYNC_RETRIES: "1",
  };
});
afterAll(() => rm(folder, { recursive: true }));

function startStock(...command: string[]): Promise<Daemon> {
  const script = "/usr/share/openqa/script/openqa-workercache";
  const log = join(folder, "stock.log");
  return Daemon.start([script, ...command], { user: "root", env, log, marks: [createMark()] });
}

/** Serves a.iso with an ETag. */
function startWebUi() {
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const name = request.url.replace(/^.*\//, "");
      const isKnown = request.headers.get("if-none-match") === '"a"';
      requests.push(`${name} ${isKnown ? "known" : "new"}`);
      if (name !== "a.iso") return new Response("nothing", { status: 404 });
      if (isKnown) return new Response(null, { status: 304 });
      return new Response("asset", { headers: { ETag: '"a"' } });
    },
  });
  return { url: server.url.origin, requests, [Symbol.asyncDispose]: () => server.stop(true) };
}

function clientOf(url: string): CacheService {
  const service = {
    url,
    localUrl: url,
    tries: 3,
    retryDelayMs: 100,
    pollIntervalMs: 200,
    checkTimeoutMs: 10_000,
  };
  const sync = { timeoutMs: 1000, tries: 1, retryDelayMs: 100, rounds: 1 };
  return new CacheService(url, { service, maxWaiting: 5, maxWaitingOfJob: 45, sync });
}

/** Everybody may ask for everything; only a.iso is there. */
function serverOptions(atPort: number, asked: string[] = []): CacheServerOptions {
  return {
    listen: [{ hostname: "127.0.0.1", port: atPort }],
    workers: 5,
    allowAsset: () => undefined,
    allowSync: () => undefined,
    work: {
      async fetchAsset({ jobId, type, name, host }, { log }) {
        asked.push(`${jobId} ${type} ${name} ${host}`);
        const path = join(cacheDirectory, "127.0.0.1", name);
        if (name === "missing.iso")
          throw new AssetRefusedError(`Download of "${path}" failed: 404 Not Found`, 404);
        if (name === "full.iso") throw new CacheError("No space left on the disk: 480 MiB needed");
        await mkdir(join(cacheDirectory, "127.0.0.1"), { recursive: true });
        await writeFile(path, "asset");
        log.info(`Download of "${path}" successful`);
      },
      async syncTests({ from, to }, { log }) {
        asked.push(`${from} ${to}`);
        log.info("Calling: rsync");
        return 0;
      },
      metrics: async () => ({ downloadRateBytesPerS: undefined }),
    },
  };
}

test(
  "the stock service does what our client asks for, and its troubles are named",
  async () => {
    await using webUi = startWebUi();
    const url = `http://127.0.0.1:${port}`;
    const client = clientOf(url);
    const asset = (name: string) => ({ jobId: "31", type: "iso", name, host: webUi.url });
    const daemons = [await startStock("daemon", "-m", "production")];
    try {
      await until(
        "the service answers",
        limitMs,
        async () => (await findCacheService(url, context)) === "stock",
      );
      expect(await client.findProblem(context)).toBe("No workers active in the cache service");
      const listening = serveCache(serverOptions(port), context);
      await expect(listening).rejects.toThrow(UsageError);

      daemons.push(await startStock("run", "-m", "production", "--reset-locks"));
      await until("it has a worker", limitMs, async () => (await client.findProblem(context)) === undefined);
      const [cold, refused, , unsynced] = await Promise.all([
        client.fetchAsset(asset("a.iso"), context),
        client.fetchAsset(asset("missing.iso"), context).catch((error) => error),
        client.syncTests({ from: tests, to: join(cacheDirectory, "new-host") }, context),
        client
          .syncTests({ from: join(folder, "absent"), to: join(cacheDirectory, "other-host") }, context)
          .catch((error) => error),
      ]);
      expect(cold).toMatchObject({ hasError: false, output: expect.stringContaining("successful") });
      expect(await readFile(join(cacheDirectory, "127.0.0.1/a.iso"), "utf8")).toBe("asset");
      expect(refused).toBeInstanceOf(AssetRefusedError);
      expect(refused).toMatchObject({ status: 404 });
      expect(await readFile(join(cacheDirectory, "new-host/tests/main.pm"), "utf8")).toBe("1;");
      expect(unsynced).toEqual(new CacheError("Failed to rsync tests: exit code 23"));

      const warm = await client.fetchAsset(asset("a.iso"), context);
      expect(warm).toMatchObject({ hasError: false, output: expect.stringContaining("has not changed") });
      expect(webUi.requests.filter((request) => request.startsWith("a.iso"))).toEqual([
        "a.iso new",
        "a.iso known",
      ]);
    } finally {
      await Promise.all(daemons.map((daemon) => daemon.stop()));
    }
  },
  3 * limitMs,
);

test("the stock client gets from our service what it asks for, and takes refusals for what they are", async () => {
  const asked: string[] = [];
  const server = await serveCache(serverOptions(port, asked), context);
  const host = "http://127.0.0.1:19546";
  const script = new URL("stock-client.pl", import.meta.url).pathname;
  const names = ["a.iso", "missing.iso", "full.iso", "../a.iso"];
  const command = ["perl", "-I/usr/share/openqa/lib", script, host, "rsync://host/tests", ...names];
  const printed = await run(command, { env }).finally(() => server.close());
  const outcomes = JSON.parse(printed);
  expect(outcomes.availability).toBeNull();
  expect(outcomes["a.iso"]).toMatchObject({ success: 1, refused: 0, exists: 1, result: null });
  expect(outcomes["missing.iso"]).toMatchObject({ success: 0, refused: 1, exists: 0 });
  expect(outcomes["full.iso"]).toMatchObject({ success: 0, refused: 0, exists: 0 });
  expect(outcomes["../a.iso"].error).toStartWith("Cache service enqueue error from API: Invalid arguments");
  expect(outcomes.sync).toMatchObject({ success: 1, result: "exit code 0" });
  expect(asked).toEqual([
    `31 iso a.iso ${host}`,
    `31 iso missing.iso ${host}`,
    `31 iso full.iso ${host}`,
    `rsync://host/tests ${cacheDirectory}/127.0.0.1`,
  ]);
});
