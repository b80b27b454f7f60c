// `cache` as its callers see it: the built executable, with a cache directory and a server of its own.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { openCacheFolder } from "../../src/cache/cache-folder.ts";
import { pin } from "../../src/cache/locks/pins.ts";
import { statIfThere } from "../../src/ops/stat-if-there.ts";
import { AssetServer } from "../cache/asset-server.ts";
import { randomContent } from "../cache/download/downloads.ts";
import { file, RawAssetServer } from "../cache/download/raw-asset-server.ts";
import { idleInfo, json, ScriptedService } from "../cache/service/scripted-service.ts";
import { until } from "../isotovideo/pool.ts";
import { executable } from "../support/temporary-worker.ts";

let folder = "";
let server: AssetServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cache-command-"));
  server = new AssetServer();
  server.put("/assets/iso/a.iso", "content of a");
  server.put("/assets/hdd/b c.qcow2", "content of b");
  await mkdir(join(folder, "openqa/share"), { recursive: true });
  await configure(`CACHEDIRECTORY = ${directory()}`);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const directory = () => join(folder, "cache");
const inCache = (name: string) => join(directory(), "127.0.0.1", name);

async function configure(...lines: string[]): Promise<void> {
  const section = `[${server.url}]\nTESTPOOLSERVER = ${folder}/source\n`;
  await writeFile(
    join(folder, "workers.ini"),
    `[global]\nHOST = ${server.url}\n${lines.join("\n")}\n${section}`,
  );
}

const start = (words: readonly string[], basePort?: number) =>
  startProgram([executable, "cache", ...words], basePort);

function startProgram(command: string[], basePort = 1) {
  // Nothing listens at the base port's fourth successor, where a stock cache service would.
  const env = {
    PATH: process.env["PATH"],
    OPENQA_CONFIG: folder,
    OPENQA_BASEDIR: folder,
    HOME: folder,
    OPENQA_BASE_PORT: String(basePort),
    OPENQA_WORKER_CACHE_RETRY_DELAY_MS: "1",
    OPENQA_WORKER_CACHE_MAX_RETRY_DELAY_MS: "1",
  };
  return Bun.spawn(command, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
}

const call = async (words: readonly string[], basePort?: number) => await ended(start(words, basePort));

async function ended(child: ReturnType<typeof start>) {
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

describe("get", () => {
  test("fetches what is not there and prints the paths", async () => {
    expect(await call(["get", "iso/a.iso", `${server.url}/assets/hdd/b%20c.qcow2`])).toEqual({
      stdout: `${inCache("a.iso")}\n${inCache("b c.qcow2")}\n`,
      stderr: "a.iso: fetched\nb c.qcow2: fetched\n",
      code: 0,
    });
    expect(await Bun.file(inCache("b c.qcow2")).text()).toBe("content of b");
    expect(await call(["get", "iso/a.iso"])).toEqual({
      stdout: `${inCache("a.iso")}\n`,
      stderr: "a.iso: up to date\n",
      code: 0,
    });
  });

  test("goes on after one that fails", async () => {
    const { stdout, stderr, code } = await call(["get", "--json", "iso/missing.iso", "iso/a.iso"]);
    expect(JSON.parse(stdout)).toEqual([
      { asset: "iso/missing.iso", error: 'Download of "missing.iso" failed: 404 Not Found' },
      { asset: "iso/a.iso", path: inCache("a.iso"), outcome: "fetched" },
    ]);
    expect(stderr).toContain('openqa-worker: Download of "missing.iso" failed: 404 Not Found');
    expect(code).toBe(1);
  });

  test("gives a web UI up that is away", async () => {
    await configure(`CACHEDIRECTORY = ${directory()}`, "HOST = http://127.0.0.1:9");
    const { stderr, code } = await call(["get", "http://127.0.0.1:9/a.iso"]);
    expect(stderr).toContain("tries used up: 5");
    expect(code).toBe(1);
  });

  test("shows a bar on a terminal", async () => {
    const half = Promise.withResolvers<void>();
    await using stalling = await RawAssetServer.listen((socket, request) => {
      file(big, { etag: '"v1"', stallAfter: 100_000 })(socket, request);
      void half.promise.then(() => socket.end(big.subarray(100_000)));
    });
    const command = `stty cols 120; exec ${executable} cache get ${stalling.url("/big.iso")}`;
    const child = startProgram(["script", "--quiet", "--return", "--command", command, "/dev/null"]);
    let screen = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      screen += text;
      if (/big\.iso \[#{12} {12}\] 50 %, 98 KiB of 195 KiB, /.test(screen)) half.resolve();
    }
    expect(await child.exited).toBe(0);
    await half.promise;
    expect(screen).toContain("big.iso: fetched");
    expect(screen).toContain(`${inCache("big.iso")}\r\n`);
  });

  test.each(["SIGINT", "SIGTERM"] as const)(
    "is ended by %s, and the next one goes on there",
    async (signal) => {
      const etag = '"v1"';
      await using stalling = await RawAssetServer.listen(
        file(big, { etag, stallAfter: 100_000 }),
        file(big, { etag }),
      );
      const asset = String(stalling.url("/big.iso"));
      const child = start(["get", asset, "iso/a.iso"]);
      await until("half of it is there", async () => (await unfinishedBytes()) === 100_000 || undefined);
      child.kill(signal);
      const { stdout, stderr, code } = await ended(child);
      expect(code).toBe(1);
      expect(stderr).toContain(`stopped by ${signal}`);
      expect(stdout).toBe("");
      expect((await call(["get", asset])).code).toBe(0);
      expect(stalling.starts).toEqual([undefined, 100_000]);
      expect(big.equals(await readFile(inCache("big.iso")))).toBe(true);
    },
  );

  test("has a directory of its own when told so", async () => {
    const other = join(folder, "other");
    const { stdout } = await call(["get", "--directory", "other", "iso/a.iso"]);
    expect(stdout).toBe(`${other}/127.0.0.1/a.iso\n`);
    expect(await readdir(folder)).not.toContain("cache");
  });
});

const big = randomContent(200_000);

/** Of downloads, on disk. */
async function unfinishedBytes(): Promise<number> {
  const partial = join(directory(), ".openqa-worker/partial");
  const names = (await readdir(partial).catch(() => [])).filter((name) => !name.includes("."));
  const sizes = await Promise.all(
    names.map(async (name) => (await statIfThere(join(partial, name)))?.size ?? 0),
  );
  return sizes.reduce((total, size) => total + size, 0);
}

describe("wrong usage has exit code 3 and says what to do:", () => {
  test.each([
    ["an asset without a type", ["get", "a.iso"], "expected TYPE/NAME such as iso/a.iso, or a URL"],
    ["a URL that names no file", ["get", "http://127.0.0.1/"], "names no file"],
    ["no asset", ["get"], "missing required argument 'asset'"],
    ["an unknown subcommand", ["frobnicate"], "unknown command 'frobnicate'"],
    ["no subcommand", [], "Usage: openqa-worker cache"],
    ["an address without a port", ["serve", "--listen", "127.0.0.1"], "expected HOST:PORT"],
  ] as const)("%s", async (_, words, why) => {
    const { stderr, code } = await call(words);
    expect(stderr).toContain(why);
    expect(code).toBe(3);
  });

  test("no cache directory", async () => {
    await configure();
    const { stderr, code } = await call(["list"]);
    expect(stderr).toContain("set CACHEDIRECTORY in workers.ini, or give --directory");
    expect(code).toBe(3);
  });

  test("a stock cache service that has the directory", async () => {
    await using stock = new ScriptedService({ "GET /info": json(idleInfo) });
    const port = Number(new URL(stock.url).port) - 4;
    for (const words of [["list"], ["clear"], ["get", "iso/a.iso"], ["serve"]]) {
      const { stderr, code } = await call(words, port);
      expect(stderr).toContain(`a stock cache service answers at ${stock.url} and has the cache`);
      expect(code).toBe(3);
    }
    expect(await readdir(folder)).not.toContain("cache");
  });
});

test("a directory that cannot be one is an error that says so", async () => {
  await writeFile(directory(), "");
  const { stderr, code } = await call(["get", "iso/a.iso"]);
  expect(stderr).toContain(`Cannot use the cache directory ${directory()}`);
  expect(code).toBe(1);
});

test.each([["list"], ["stats"], ["verify"], ["prune"], ["clear"]])(
  "%s makes no cache of a folder that is none, and removes nothing in it",
  async (subcommand) => {
    await mkdir(join(folder, "factory/iso"), { recursive: true });
    await writeFile(join(folder, "factory/iso/precious.iso"), "x");
    const { stderr, code } = await call([subcommand, "--directory", "factory"]);
    expect(stderr).toContain(`${folder}/factory is no cache directory`);
    expect(code).toBe(3);
    const left = await readdir(join(folder, "factory"), { recursive: true });
    expect(left.toSorted()).toEqual(["iso", "iso/precious.iso"]);
  },
);

test("--directory does not get round a stock cache service that has that directory", async () => {
  await call(["get", "iso/a.iso"]);
  await using stock = new ScriptedService({ "GET /info": json(idleInfo) });
  const port = Number(new URL(stock.url).port) - 4;
  expect((await call(["clear", "--directory", directory()], port)).code).toBe(3);
  expect((await call(["get", "--directory", "other", "iso/a.iso"], port)).code).toBe(0);
});

test("root is kept from making files that the owner of the directory could not use", async () => {
  if (process.geteuid?.() !== 0) return;
  await call(["get", "iso/a.iso"]);
  await chown(directory(), 12345, 12345);
  const { stderr, code } = await call(["get", "iso/a.iso"]);
  expect(stderr).toContain(
    "belongs to another user, who could not use what root makes there: use sudo -u '#12345'",
  );
  expect(code).toBe(3);
});

test("list shows size, age and who uses an asset", async () => {
  await call(["get", "iso/a.iso"]);
  await using _ = await pin(await openCacheFolder(directory()), inCache("a.iso"), "slot 3, job 42");
  const { stdout } = await call(["list"]);
  const [heads, line] = stdout.split("\n");
  expect(heads).toMatch(/^SIZE +LAST USE +ASSET +USED BY$/);
  expect(line).toMatch(/^12 Byte +\d s ago +127\.0\.0\.1\/a\.iso +slot 3, job 42 \(process \d+\)$/);
  expect(JSON.parse((await call(["list", "--json"])).stdout)).toMatchObject([
    { path: inCache("a.iso"), sizeBytes: 12, host: "127.0.0.1", pins: [{ holder: "slot 3, job 42" }] },
  ]);
});

test("stats are figures", async () => {
  await call(["get", "iso/a.iso"]);
  expect((await call(["stats"])).stdout).toContain("Assets:               1, 12 Byte (limit 50 GiB)\n");
  expect(JSON.parse((await call(["stats", "--json"])).stdout)).toMatchObject({
    directory: directory(),
    assets: 1,
    usedBytes: 12,
    limitBytes: 50 * 1024 ** 3,
    waiting: 0,
  });
});

test("verify finds what has rotten, and the next get mends it", async () => {
  await call(["get", "iso/a.iso", "hdd/b c.qcow2"]);
  expect(await call(["verify"])).toMatchObject({ code: 0 });
  const { atime, mtime } = await stat(inCache("a.iso"));
  await writeFile(inCache("a.iso"), "CONTENT of a");
  await utimes(inCache("a.iso"), atime, mtime);
  const { stdout, code } = await call(["verify"]);
  expect(stdout).toContain(`changed: ${inCache("a.iso")}, 12 Byte (not what was fetched`);
  expect(stdout).toContain(`intact: ${inCache("b c.qcow2")}`);
  expect(stdout).toEndWith("2 verified, 1 not as fetched\n");
  expect(code).toBe(1);
  expect((await call(["get", "iso/a.iso"])).stderr).toEndWith("a.iso: fetched\n");
  expect(await Bun.file(inCache("a.iso")).text()).toBe("content of a");
});

test("verify finds what is missing", async () => {
  await call(["get", "iso/a.iso"]);
  await rm(inCache("a.iso"));
  const { stdout, code } = await call(["verify", "--json"]);
  expect(JSON.parse(stdout)).toEqual([{ path: inCache("a.iso"), sizeBytes: 12, state: "missing" }]);
  expect(code).toBe(1);
  expect((await call(["list"])).stdout).toBe("The cache is empty.\n");
});

test("prune takes what has not been used for longest, down to CACHELIMIT", async () => {
  await configure(`CACHEDIRECTORY = ${directory()}`, "CACHELIMIT = 1");
  await call(["get", "iso/a.iso"]);
  const sizeBytes = 600 * 1024 ** 2;
  for (const [index, name] of ["old.img", "older.img", "new.img"].entries()) {
    await writeFile(inCache(name), "");
    await truncate(inCache(name), sizeBytes);
    using database = new Database(join(directory(), "cache.sqlite"));
    const lastUse = { "old.img": 2000, "older.img": 1000 }[name] ?? 2_000_000_000;
    database.run("INSERT INTO assets (filename, etag, size, last_use, pending) VALUES (?, ?, ?, ?, 0)", [
      inCache(name),
      `"${index}"`,
      sizeBytes,
      lastUse,
    ]);
  }
  const { stdout, code } = await call(["prune"]);
  expect(stdout).toBe(
    `Removed ${inCache("older.img")} (600 MiB)\nRemoved ${inCache("old.img")} (600 MiB)\n2 removed, 1.2 GiB gained\n`,
  );
  expect(code).toBe(0);
  expect((await readdir(dirname(inCache("a.iso")))).sort()).toEqual(["a.iso", "new.img"]);
});

test("prune brings the cache within its limits", async () => {
  await call(["get", "iso/a.iso"]);
  await writeFile(inCache("stray.img"), "x");
  expect((await call(["prune"])).stdout).toBe(
    `Removed ${inCache("stray.img")} (1 Byte)\n1 removed, 1 Byte gained\n`,
  );
  await configure(`CACHEDIRECTORY = ${directory()}`, "CACHE_MIN_FREE_PERCENTAGE = 100");
  const { stdout, stderr } = await call(["prune", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject([{ path: inCache("a.iso"), sizeBytes: 12 }]);
  expect(stderr).toContain("above its limits");
});

test("clear keeps what is in use", async () => {
  await call(["get", "iso/a.iso", "hdd/b c.qcow2"]);
  await using _ = await pin(await openCacheFolder(directory()), inCache("a.iso"), "slot 3, job 42");
  const kept = JSON.parse((await call(["clear", "--json"])).stdout);
  expect(kept).toMatchObject({
    removed: [{ path: inCache("b c.qcow2") }],
    kept: [{ path: inCache("a.iso") }],
  });
  await call(["get", "hdd/b c.qcow2"]);
  expect(await call(["clear"])).toMatchObject({
    stdout: `Removed ${inCache("b c.qcow2")} (12 Byte)\n1 removed, 12 Byte gained\nKept ${inCache("a.iso")}: it is in use\n`,
    code: 0,
  });
});

describe("serve", () => {
  test("serves what is configured until it is told to stop", async () => {
    server.put("/tests/7/asset/iso/a.iso", "content of a");
    const child = start(["serve", "--listen", "127.0.0.1:0"]);
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const [, url] = /at (http:\S+)/.exec((await reader.read()).value ?? "") ?? [];
    const post = (body: object) =>
      fetch(`${url}/enqueue`, { method: "POST", body: JSON.stringify(body) }).then(
        async (answer) => [answer.status, await answer.json()] as const,
      );
    const args = [7, "iso", "a.iso", server.url];
    expect(await post({ task: "cache_asset", args, lock: "a" })).toMatchObject([
      200,
      { status: "downloading" },
    ]);
    const [status, refusal] = await post({
      task: "cache_tests",
      args: [`${folder}/source`, "/home/somebody"],
      lock: "b",
    });
    expect([status, JSON.stringify(refusal)]).toEqual([
      400,
      expect.stringContaining("with tests in /home/somebody"),
    ]);
    expect(await (await fetch(`${url}/info`)).json()).toMatchObject({
      inactive_jobs: 0,
      service: "openqa-worker",
    });
    await until("the asset is there", async () => (await Bun.file(inCache("a.iso")).exists()) || undefined);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test("does not start where somebody else listens", async () => {
    const { stderr, code } = await call(["serve", "--listen", new URL(server.url).host]);
    expect(stderr).toContain(`Cannot listen on ${new URL(server.url).host}: another program listens there`);
    expect(code).toBe(3);
  });
});

test.each([["get"], ["list"], ["verify"], ["prune"], ["stats"], ["clear"], ["serve"]])(
  "%s --help tells its flags and the exit codes",
  async (subcommand) => {
    const { stdout, code } = await call([subcommand, "--help"]);
    expect(stdout).toStartWith(`Usage: openqa-worker cache ${subcommand}`);
    expect(stdout).toContain("--directory");
    expect(stdout).toContain("Exit codes:");
    expect(code).toBe(0);
  },
);
