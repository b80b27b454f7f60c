// An asset of 1 GiB comes: by itself, against curl, and for a job through the cache (job sent → isotovideo started), with
// an asset that is new each time, the stock worker with its cache service.
import { link, rm } from "node:fs/promises";
import { join } from "node:path";
import { installDistribution, jobSettings, postJob } from "../../e2e/jobs.ts";
import { run } from "../../e2e/processes.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { makeCacheDirectory } from "../../e2e/worker-folder.ts";
import type { Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { fillFile, measureDownloadSpeed } from "../download-speed.ts";
import { expectPassed, whenDone } from "../job-answer.ts";
import { sideCpuMs } from "../side-use.ts";
import { installWrapper, isotovideoSpan, type WebsocketTap, withTappedServer } from "../timing.ts";
import { each, inTurn, withBothWorkers } from "../two-sides.ts";

const sizeBytes = 1024 ** 3;
const limitMs = 150_000;

export const part: BenchPart = {
  name: "download",
  title: "Download of an asset of 1 GiB, alone and for a job",
  minutes: 5,
  async measure(options) {
    const alone = await measureDownloadSpeed(sizeBytes, options);
    const forJob = await withTappedServer((server, tap) => measureForJob(server, tap, options));
    return [...alone, ...forJob];
  },
};

async function measureForJob(
  server: OpenqaServer,
  tap: WebsocketTap,
  { rounds, note }: BenchOptions,
): Promise<Measurement[]> {
  await installDistribution(server);
  const isotovideo = await installWrapper(server);
  const assets = join(server.projectFolder, "share/factory/iso");
  const original = join(server.folder, "asset");
  await fillFile(original, sizeBytes);
  const found = await withBothWorkers(
    server,
    async (side) => ({ cache: { directory: await makeCacheDirectory(server, side) } }),
    (workers) =>
      inTurn(rounds, async (side, round) => {
        note(`download for a job of ${side}, round ${round} of ${rounds}`);
        const asset = `bench-${side}-${round}.iso`;
        await link(original, join(assets, asset));
        const settings = { ...jobSettings("quick", side), ISO: asset, ISOTOVIDEO: isotovideo };
        const used = await fetchForJob(server, tap, workers[side], settings);
        await rm(join(assets, asset));
        await rm(cachedPath(workers[side], asset));
        return used;
      }),
  );
  return [
    {
      name: "job sent until isotovideo has started",
      unit: "s",
      sides: each(found, ({ seconds }) => seconds),
      remark: "the stock worker, with its cache service, looks every 5 s whether all is there",
    },
    {
      name: "CPU of the worker side for the job",
      unit: "s",
      sides: each(found, ({ cpuSeconds }) => cpuSeconds),
      remark: "cache service and supervisors included; isotovideo's own is not",
    },
  ];
}

async function fetchForJob(
  server: OpenqaServer,
  tap: WebsocketTap,
  worker: Worker,
  settings: Readonly<Record<string, string>>,
): Promise<{ readonly seconds: number; readonly cpuSeconds: number }> {
  // Nothing of the one before is still being written.
  await run(["sync"]);
  const cpuBefore = await sideCpuMs(server, worker);
  const id = await postJob(server, settings);
  await whenDone(server, id, limitMs);
  await expectPassed(server, id);
  const cpuMs = (await sideCpuMs(server, worker)) - cpuBefore;
  const waitedMs = (await isotovideoSpan(worker)).from - tap.grabTime(id);
  return { seconds: waitedMs / 1000, cpuSeconds: cpuMs / 1000 };
}

function cachedPath({ cacheDirectory }: Worker, asset: string): string {
  if (cacheDirectory === undefined) throw new Error("the worker has no cache");
  return join(cacheDirectory, "127.0.0.1", asset);
}
