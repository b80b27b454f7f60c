// Downloads into one cache directory by several processes at once, and by one that goes on where a killed one was,
// from nginx and from the web UI itself; counted in nginx's log.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { createHash } from "node:crypto";
import { readdir, readFile, readlink, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { AccessLog } from "./access-log.ts";
import { installDistribution, jobSettings, makeAsset, postJob } from "./jobs.ts";
import { endOf, startOurCommand } from "./our-command.ts";
import { type Daemon, run } from "./processes.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { StallingLink } from "./stalling-link.ts";
import { until } from "./until.ts";
import { configureWorker, makeCacheDirectory } from "./worker-folder.ts";

const mib = 1024 * 1024;
const assetBytes = 200 * mib;
/** So much of it gets through before the connection stalls. */
const passedBytes = 120 * mib;
/** What a download may hold in memory when it is killed. */
const unwrittenBytes = 16 * mib;
const name = "big.iso";
const asset = `iso/${name}`;

let server: OpenqaServer;
let file: string;
/** Path below a web UI, of a job that has the asset. */
let jobPath: string;

const onServer = (title: string, body: () => Promise<void>) => serverTest(title, () => server, body);

beforeAll(async () => {
  server = await startServer();
  await installDistribution(server);
  file = await makeAsset(server, asset, assetBytes);
  const job = await postJob(server, { ...jobSettings("quick", "nobody"), ISO: name });
  jobPath = `/tests/${job}/asset/${asset}`;
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

/** `cache get URL`, with a configuration folder of its own. */
async function startGet(directory: string, url: string): Promise<Daemon> {
  const instance = server.takeInstances(1);
  const env = await configureWorker(server, { instance, workerClass: "none", cache: { directory } });
  return startOurCommand(server, `cache-get-${instance}`, env, ["cache", "get", url]);
}

async function expectFetched(directory: string, command: Daemon): Promise<void> {
  const { exitCode, output } = await endOf(command);
  const path = join(directory, "127.0.0.1", name);
  expect({ exitCode, lastLine: output.trim().split("\n").at(-1) }).toEqual({ exitCode: 0, lastLine: path });
  expect(await sha256(path)).toBe(await sha256(file));
}

async function sha256(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

/** Another content of the same size, and a time that tells it from the one before. */
async function changeAsset(): Promise<void> {
  const { mtimeMs } = await stat(file);
  await makeAsset(server, asset, assetBytes);
  const later = mtimeMs / 1000 + 60;
  await utimes(file, later, later);
}

/** Starts a download, and kills it when that much of the asset is on disk. */
async function breakDownload(
  directory: string,
  targetPort: number,
  path: string,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  await using link = await StallingLink.open(targetPort, passedBytes);
  const killed = await startGet(directory, `http://127.0.0.1:${link.port}${path}`);
  await until("what gets through is on disk", 30_000, async () => {
    if (!killed.isAlive) throw new Error(`ended: ${(await endOf(killed)).output}`);
    const used = Number((await run(["du", "-sb", directory])).split("\t")[0]);
    return used > passedBytes - unwrittenBytes;
  });
  await meanwhile();
  killed.signal("SIGKILL");
  await killed.exited;
}

async function hasOpened(directory: string, { pid }: Daemon): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`);
  const files = await Promise.all(
    descriptors.map((one) => readlink(`/proc/${pid}/fd/${one}`).catch(() => "")),
  );
  return files.some((path) => path.startsWith(directory));
}

describe("cache get", () => {
  onServer("eight processes that want the same asset at once cause one download", async () => {
    const directory = await makeCacheDirectory(server, "eight");
    const log = await AccessLog.startingNow(server);
    const commands = await Promise.all(
      Array.from({ length: 8 }, () => startGet(directory, `${server.url}/assets/${asset}`)),
    );
    for (const command of commands) await expectFetched(directory, command);
    const transfers = (await log.transfersOf(asset)).filter(({ status }) => status !== 304);
    expect(transfers).toMatchObject([{ method: "GET", status: 200, bodyBytes: assetBytes }]);
  });

  onServer(
    "when the process that downloads is killed, one of those who wait goes on where it was",
    async () => {
      const directory = await makeCacheDirectory(server, "resumed");
      const waiting: Daemon[] = [];
      await breakDownload(directory, server.ports.proxy, `/assets/${asset}`, async () => {
        for (let count = 0; count < 3; count++)
          waiting.push(await startGet(directory, `${server.url}/assets/${asset}`));
        for (const one of waiting) await until("it waits", 20_000, () => hasOpened(directory, one));
      });
      const log = await AccessLog.startingNow(server);
      for (const command of waiting) await expectFetched(directory, command);
      // That of the killed process is noted late.
      const transfers = (await log.transfersOf(asset)).filter(({ status }) => status === 206);
      expect(transfers).toHaveLength(1);
      expect(transfers[0]?.bodyBytes).toBeLessThan(assetBytes - passedBytes + unwrittenBytes);
    },
  );

  const sources = [
    {
      whose: "nginx, which honours If-Range",
      port: () => server.ports.proxy,
      path: () => `/assets/${asset}`,
    },
    { whose: "the web UI, which ignores If-Range", port: () => server.ports.webUi, path: () => jobPath },
  ];
  for (const { whose, port, path } of sources) {
    onServer(`an asset that changes between break and resumption is got anew from ${whose}`, async () => {
      const directory = await makeCacheDirectory(server, `changed-${port()}`);
      await breakDownload(directory, port(), path());
      await changeAsset();
      await expectFetched(directory, await startGet(directory, `http://127.0.0.1:${port()}${path()}`));
    });
  }
});
