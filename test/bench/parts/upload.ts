// An asset of 1 GiB, made before, that a job leaves: isotovideo's end → set_done answered, and what that takes. Chunk by
// chunk, as to a web UI on another host.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { installDistribution, jobSettings, postJob } from "../../e2e/jobs.ts";
import { run } from "../../e2e/processes.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { workerUser } from "../../e2e/users.ts";
import type { Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { fillFile } from "../download-speed.ts";
import { installIsotovideoWith } from "../isotovideo-with.ts";
import { expectPassed, whenDone } from "../job-answer.ts";
import { peakMbUntil, sideCpuMs } from "../side-use.ts";
import { isotovideoSpan } from "../timing.ts";
import { each, type PerSide, passJob, type SideName, sideNames, withBothWorkers } from "../two-sides.ts";
import { withServer } from "../with-server.ts";

const sizeBytes = 1024 ** 3;
const maxRounds = 3;
const limitMs = 600_000;

interface Upload {
  /** isotovideo ended → set_done answered. */
  readonly seconds: number;
  /** Of the worker side for the whole job. */
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

export const part: BenchPart = {
  name: "upload",
  title: `Upload of an asset of 1 GiB in chunks (at most ${maxRounds} rounds)`,
  minutes: 7,
  measure: (options) => withServer((server) => measure(server, options)),
};

async function measure(server: OpenqaServer, { rounds, note }: BenchOptions): Promise<Measurement[]> {
  await installDistribution(server);
  const asset = await makeAsset(server);
  const found: Record<SideName, Upload[]> = { stock: [], ours: [] };
  const count = Math.min(rounds, maxRounds);
  await withBothWorkers(
    server,
    async () => ({}),
    async (workers) => {
      // The first job of a worker is its warm-up, without the asset.
      for (const side of sideNames) await passJob(server, jobSettings("quick", side));
      for (let round = 1; round <= count; round++) {
        for (const side of sideNames) {
          note(`upload of ${side}, round ${round} of ${count}`);
          found[side].push(await upload(server, asset, workers[side], side));
        }
      }
    },
  );
  return measurementsOf(found);
}

/** A file that the worker's user owns: nobody else may link them into a pool. */
async function makeAsset(server: OpenqaServer): Promise<string> {
  const path = join(server.folder, "asset");
  await fillFile(path, sizeBytes);
  await run(["chown", workerUser, path]);
  return path;
}

async function upload(server: OpenqaServer, asset: string, worker: Worker, side: SideName): Promise<Upload> {
  const name = `bench-${side}.bin`;
  const after = `mkdir -p assets_public && ln ${asset} assets_public/${name}`;
  const isotovideo = await installIsotovideoWith(server, side, { after });
  // Nothing of the one before is still being written.
  await run(["sync"]);
  const cpuBefore = await sideCpuMs(server, worker);
  const id = await postJob(server, { ...jobSettings("quick", side), ISOTOVIDEO: isotovideo });
  const done = whenDone(server, id, limitMs);
  const peakMb = await peakMbUntil(done, worker);
  await expectPassed(server, id);
  const cpuSeconds = ((await sideCpuMs(server, worker)) - cpuBefore) / 1000;
  const uploaded = join(server.projectFolder, "share/factory/other", name);
  await run(["cmp", asset, uploaded]);
  await rm(uploaded);
  return { seconds: ((await done) - (await isotovideoSpan(worker)).to) / 1000, cpuSeconds, peakMb };
}

function measurementsOf(found: PerSide<readonly Upload[]>): Measurement[] {
  return [
    {
      name: "isotovideo ended until done",
      unit: "s",
      sides: each(found, ({ seconds }) => seconds),
      aim: { ratio: 1, to: "stock" },
      remark:
        "with the server's answers. As by default: stock sends 1074 chunks of 1,000,000 bytes, ours 108 of 10,000,000. " +
        "What the server then had was compared byte by byte.",
    },
    {
      name: "CPU of the worker side for the job",
      unit: "s",
      sides: each(found, ({ cpuSeconds }) => cpuSeconds),
      aim: { ratio: 1 / 3, to: "stock" },
      remark: "forks that upload, and supervisors, included; isotovideo's own is not",
    },
    {
      name: "memory of the worker side at most",
      unit: "MB",
      sides: each(found, ({ peakMb }) => peakMb),
      remark: "PSS of the worker, its supervisors and its forks, looked at each 0.5 s",
    },
  ];
}
