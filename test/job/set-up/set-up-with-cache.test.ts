// The set-up of a job whose worker has a cache: assets from the web UI, tests by rsync from a folder.
import { describe, expect, test } from "bun:test";
import { readFile, readlink, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { AssetCaches } from "../../../src/cache/worker/asset-caches.ts";
import { SetupFailure } from "../../../src/errors.ts";
import { setUpJob } from "../../../src/job/set-up/set-up-job.ts";
import type { LogEntry } from "../../../src/ops/log.ts";
import { RememberedErrors } from "../../../src/webui/remembered-errors.ts";
import type { RestRequest } from "../../../src/webui/web-ui.ts";
import { AssetServer } from "../../cache/asset-server.ts";
import { JobHost, recordingContext } from "../job-host.ts";

const settings = { DISTRI: "opensuse", VERSION: "15", ISO: "a.iso" };
const source = "distributions/opensuse/products/opensuse/main.pm";

class CachingHost implements AsyncDisposable {
  readonly server = new AssetServer();
  readonly caches = new AssetCaches();
  readonly held = new AsyncDisposableStack();
  readonly posts: RestRequest[] = [];
  /** Of autoinst-log.txt. */
  readonly autoinstLines: string[] = [];

  private constructor(
    readonly host: JobHost,
    /** TESTPOOLSERVER. */
    private readonly testPoolServer: string | undefined,
  ) {}

  /** `tests`: folder to sync from, below the project folder; empty: nothing is synced. */
  static async make(tests = "distributions"): Promise<CachingHost> {
    const files = { [source]: "1;", "share/tests/opensuse/main.pm": "of the share directory" };
    const env = {
      PATH: process.env["PATH"],
      OPENQA_CACHE_SERVICE_TEST_SYNC_ATTEMPTS: "1",
      OPENQA_RSYNC_RETRIES: "1",
    };
    const host = await JobHost.make(files, "[global]\nCACHEDIRECTORY = cache\n", env);
    return new CachingHost(host, tests === "" ? undefined : host.path(tests));
  }

  get directory(): string {
    return this.host.settings.cache?.directory ?? "";
  }

  async setUp(jobSettings: Record<string, string>, context = recordingContext()) {
    const [host] = this.host.settings.hosts;
    const webUi = {
      host: { ...host!, testPoolServer: this.testPoolServer },
      url: this.server.url,
      workerId: 7,
      servicePortDelta: 2,
      errors: new RememberedErrors(),
      call: async (request: RestRequest) => {
        this.posts.push(request);
        return { status: 200, body: { result: 1 } };
      },
    };
    const job = { id: "12", settings: jobSettings, received: { id: 12 } };
    const { settings: workerSettings, program } = this.host;
    const { caches, held } = this;
    const autoinstSink = ({ text }: LogEntry) => this.autoinstLines.push(text);
    const input = { job, settings: workerSettings, program, webUi, caches, held, autoinstSink };
    const prepared = await setUpJob(input, context);
    return prepared.vars;
  }

  async failure(jobSettings: Record<string, string>): Promise<string> {
    const error = await this.setUp(jobSettings).catch((thrown) => thrown);
    if (!(error instanceof SetupFailure)) throw new Error(`Not a set-up failure: ${error}`);
    return `${error.category}: ${error.message}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.held.disposeAsync();
    await this.caches[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
  }
}

test("assets come from the web UI, tests by rsync", async () => {
  await using here = await CachingHost.make();
  here.server.put("/tests/12/asset/iso/a.iso", "content");
  const vars = await here.setUp({ ...settings, ABSOLUTE_TEST_CONFIG_PATHS: "" });
  expect(vars).toMatchObject({ ISO: "a.iso", CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse" });
  const cached = join(here.directory, "localhost/a.iso");
  const inPool = join(here.host.pool, "a.iso");
  expect(await readFile(inPool, "utf8")).toBe("content");
  expect((await stat(inPool)).ino).toBe((await stat(cached)).ino);
  expect(await readlink(join(here.host.pool, "opensuse"))).toBe(
    join(here.directory, "localhost/tests/opensuse"),
  );
  expect(here.posts).toEqual([]);
  expect(here.autoinstLines).toContain("Finished to rsync tests");
  expect(here.autoinstLines.join("\n")).toContain(`Download of "${cached}" successful`);
});

test("an asset is linked even where a job wants absolute paths", async () => {
  await using here = await CachingHost.make();
  here.server.put("/tests/12/asset/iso/a.iso", "content");
  const vars = await here.setUp({ ...settings, ABSOLUTE_TEST_CONFIG_PATHS: "1" });
  expect(vars["ISO"]).toBe(join(here.host.pool, "a.iso"));
  expect(vars["CASEDIR"]).toBe(join(here.directory, "localhost/tests/opensuse"));
});

test("the name of an asset is trimmed, and folders in it do not count", async () => {
  await using here = await CachingHost.make();
  here.server.put("/tests/12/asset/iso/a.iso", "content");
  expect(await here.setUp({ ...settings, ISO: " fixed/a.iso " })).toMatchObject({ ISO: "a.iso" });
});

test("without TESTPOOLSERVER tests come from the project folder", async () => {
  await using here = await CachingHost.make("");
  here.server.put("/tests/12/asset/iso/a.iso", "content");
  await here.setUp(settings);
  const tests = await realpath(join(here.host.pool, "opensuse"));
  expect(tests).toBe(await realpath(here.host.path("share/tests/opensuse")));
});

test("nothing is synced for a job that has tests and needles from git", async () => {
  await using here = await CachingHost.make("nowhere");
  const git = { CASEDIR: "https://git.example/a.git", NEEDLES_DIR: "https://git.example/b.git" };
  expect(await here.setUp({ DISTRI: "opensuse", ...git })).toMatchObject(git);
});

test("the web UI is told as long as it takes", async () => {
  await using here = await CachingHost.make();
  const told = Promise.withResolvers<void>();
  here.server.answer = async () => {
    while (here.posts.length === 0) await Bun.sleep(20);
    told.resolve();
    return new Response("content", { headers: { etag: '"a"' } });
  };
  await here.setUp(settings);
  await told.promise;
  expect(here.posts).toMatchObject([
    { method: "POST", path: "jobs/12/status", json: { status: { setup: 1, worker_id: 7 } } },
  ]);
});

describe("what goes wrong is named for the reason", () => {
  test("an asset that is refused", async () => {
    await using here = await CachingHost.make();
    const path = join(here.directory, "localhost/a.iso");
    expect(await here.failure(settings)).toBe(`asset failure: Failed to download a.iso to ${path}`);
  });

  test("an asset that the cache cannot provide", async () => {
    await using here = await CachingHost.make();
    here.server.answer = () => new Response("<html>", { headers: { "content-type": "text/html" } });
    const path = join(here.directory, "localhost/a.iso");
    expect(await here.failure(settings)).toStartWith(`cache failure: Failed to download a.iso to ${path}: `);
  });

  test("a sync that fails", async () => {
    await using here = await CachingHost.make("nowhere");
    here.server.put("/tests/12/asset/iso/a.iso", "content");
    expect(await here.failure(settings)).toBe("cache failure: Failed to rsync tests: exit code 23");
  });

  test("an asset rather than a sync, when both fail", async () => {
    await using here = await CachingHost.make("nowhere");
    here.server.answer = async () => {
      await Bun.sleep(10);
      return new Response("no", { status: 404 });
    };
    expect(await here.failure(settings)).toStartWith("asset failure: ");
  });

  test("a cache directory that is none", async () => {
    await using here = await CachingHost.make();
    await Bun.write(here.directory, "a file");
    expect(await here.failure(settings)).toStartWith("cache failure: Cannot use the cache directory ");
  });
});

describe("UEFI_PFLASH_VARS", () => {
  const vars = { DISTRI: "opensuse", UEFI_PFLASH_VARS: "vars.bin" };

  test("is not looked at without UEFI", async () => {
    await using here = await CachingHost.make();
    expect(await here.setUp(vars)).toMatchObject(vars);
    expect(here.server.served).toEqual([]);
  });

  test("stays as it is when it cannot be had", async () => {
    await using here = await CachingHost.make();
    expect(await here.setUp({ ...vars, UEFI: "1" })).toMatchObject(vars);
    expect(here.server.statuses).toEqual([404]);
  });
});
