// With a cache: how long a job with an ISO of 5 MB and a test sync waits for its isotovideo (job sent to the worker →
// isotovideo started), with an empty cache and with one that has all; the stock worker with its cache service.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { installDistribution, jobSettings } from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { makeCacheDirectory } from "../../e2e/worker-folder.ts";
import type { Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { installWrapper, isotovideoSpan, type WebsocketTap, withTappedServer } from "../timing.ts";
import { each, inTurn, passJob, withBothWorkers } from "../two-sides.ts";

export const part: BenchPart = {
  name: "cache",
  title: "With a cache: job sent until isotovideo has started",
  minutes: 4,
  measure: (options) => withTappedServer((server, tap) => measure(server, tap, options)),
};

async function measure(
  server: OpenqaServer,
  tap: WebsocketTap,
  { rounds, note }: BenchOptions,
): Promise<Measurement[]> {
  await installDistribution(server);
  const isotovideo = await installWrapper(server);
  const settings = { ISO: "grub-rescue-cdrom.iso", ISOTOVIDEO: isotovideo };
  const found = await withBothWorkers(
    server,
    async (side) => ({ cache: { directory: await makeCacheDirectory(server, side) } }),
    (workers) => {
      const waitMs = async (side: keyof typeof workers) => {
        const id = await passJob(server, { ...jobSettings("quick", side), ...settings });
        return (await isotovideoSpan(workers[side])).from - tap.grabTime(id);
      };
      return inTurn(rounds, async (side, round) => {
        note(`jobs of ${side}, round ${round} of ${rounds}`);
        await emptyCache(workers[side]);
        return { empty: await waitMs(side), warm: await waitMs(side) };
      });
    },
  );
  return [
    {
      name: "empty cache",
      unit: "ms",
      sides: each(found, ({ empty }) => empty),
      remark: "the stock worker, with its cache service, looks every 5 s whether all is there",
    },
    {
      name: "everything cached",
      unit: "ms",
      sides: each(found, ({ warm }) => warm),
      aim: { ratio: 1 / 20, to: "stock" },
    },
  ];
}

/** Assets and tests go, as if somebody had removed the files; a download has nothing to start from. */
async function emptyCache({ cacheDirectory }: Worker): Promise<void> {
  if (cacheDirectory === undefined) throw new Error("the worker has no cache");
  const folder = join(cacheDirectory, "127.0.0.1");
  // Before its first job there is none.
  for (const name of await readdir(folder).catch(() => []))
    await rm(join(folder, name), { recursive: true, force: true });
}
