// CPU time that the worker side spends on a job that does next to nothing; isotovideo's own is not counted.
import { installDistribution, jobSettings } from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import type { Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { sideCpuMs } from "../side-use.ts";
import { installWrapper } from "../timing.ts";
import { inTurn, passJobs, withBothWorkers } from "../two-sides.ts";
import { withServer } from "../with-server.ts";

/** The kernel counts in steps of 10 ms: a sample is the mean of so many jobs. */
const jobsPerSample = 5;

export const part: BenchPart = {
  name: "cpu",
  title: "CPU time of a job that does next to nothing, without isotovideo's own",
  minutes: 3,
  measure: (options) => withServer((server) => measure(server, options)),
};

async function measure(server: OpenqaServer, { rounds, note }: BenchOptions): Promise<Measurement[]> {
  await installDistribution(server);
  const isotovideo = await installWrapper(server);
  const sides = await withBothWorkers(
    server,
    async () => ({}),
    (workers) =>
      inTurn(rounds, async (side, round) => {
        // The first is the warm-up.
        const jobs = round === 0 ? 1 : jobsPerSample;
        note(`${jobs} jobs of ${side}, round ${round} of ${rounds}`);
        const settings = { ...jobSettings("quick", side), ISOTOVIDEO: isotovideo };
        return await cpuMsPerJob(server, workers[side], jobs, () => passJobs(server, settings, jobs));
      }),
  );
  return [
    {
      name: "CPU a job",
      unit: "ms",
      sides,
      aim: { ratio: 1 / 3, to: "stock" },
      remark: `each sample is the mean of ${jobsPerSample} jobs; all processes of the worker side, supervisors included`,
    },
  ];
}

async function cpuMsPerJob(
  server: OpenqaServer,
  worker: Worker,
  jobs: number,
  run: () => Promise<void>,
): Promise<number> {
  const before = await sideCpuMs(server, worker);
  await run();
  return ((await sideCpuMs(server, worker)) - before) / jobs;
}
