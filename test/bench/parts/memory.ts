// Memory of a worker side: PSS of all its processes but isotovideo's, at rest with 1, 4 and 16 slots, before and after a
// job, and with a job in each slot; stock worker (a process per slot) and ours.
import {
  installDistribution,
  jobSettings,
  jobState,
  postJob,
  waitForEnd,
  waitUntilRuns,
} from "../../e2e/jobs.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { startOurWorker, startStockWorker, type Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { sumPssMb } from "../process-figures.ts";
import { workerPids } from "../side-use.ts";
import { type PerSide, passJob, type SideName } from "../two-sides.ts";
import { withServer } from "../with-server.ts";

const slotCounts = [1, 4, 16] as const;
/** The most slots are what the aims are about. */
const aims = { idle: 1 / 10, after: undefined, busy: 1 / 6 } as const;
/** Both sides are measured at rest: not while they tidy up after the start or a job. */
const restMs = 10_000;
const betweenReadingsMs = 1000;
/** Longer than it takes to start isotovideo in all slots and to measure; the jobs are cancelled then. */
const jobSeconds = 140;

export const part: BenchPart = {
  name: "memory",
  title: "Memory (PSS) of a worker side, without isotovideo (readings of one start)",
  minutes: 6,
  measure: (options) =>
    withServer(async (server) => {
      await installDistribution(server);
      const found: Measurement[] = [];
      for (const slots of slotCounts) found.push(...(await measureSlots(server, slots, options)));
      return found;
    }),
};

/** Readings in MB. */
interface Memory {
  readonly idle: readonly number[];
  readonly after: readonly number[];
  readonly busy: readonly number[];
  readonly supervisors: number;
}

async function measureSlots(
  server: OpenqaServer,
  slots: number,
  options: BenchOptions,
): Promise<Measurement[]> {
  const stock = await measureSide(server, slots, "stock", options);
  const ours = await measureSide(server, slots, "ours", options);
  return measurementsOf({ stock, ours }, slots);
}

function measurementsOf({ stock, ours }: PerSide<Memory>, slots: number): Measurement[] {
  const titles = { idle: "idle", after: "after a job", busy: "a job in each" } as const;
  const text = slots === 1 ? "1 slot" : `${slots} slots`;
  return (["idle", "after", "busy"] as const).map((when) => {
    const ratio = slots === slotCounts.at(-1) ? aims[when] : undefined;
    return {
      name: `${text}, ${titles[when]}`,
      unit: "MB",
      sides: { stock: stock[when], ours: ours[when] },
      ...(ratio !== undefined && { aim: { ratio, to: "stock" } }),
      ...(when === "busy" && {
        remark: `ours: ${ours.supervisors} supervisors included; the jobs make no pictures (part screenshots does)`,
      }),
    };
  });
}

async function measureSide(
  server: OpenqaServer,
  slots: number,
  side: SideName,
  { rounds, note }: BenchOptions,
): Promise<Memory> {
  const workerClass = `${side}-${slots}`;
  const start = side === "stock" ? startStockWorker : startOurWorker;
  note(`${side} with ${slots} slots`);
  const worker = await start(server, { instance: server.takeInstances(slots), slots, workerClass });
  try {
    await Bun.sleep(restMs);
    const idle = await readings(worker, rounds);
    await passJob(server, jobSettings("quick", workerClass));
    await Bun.sleep(restMs);
    const after = await readings(worker, rounds);
    note(`${side} with a job in each of ${slots} slots`);
    return { idle, after, ...(await measureBusy(server, worker, workerClass, rounds)) };
  } finally {
    await worker.stop();
  }
}

/** With a resting job in each slot. */
async function measureBusy(
  server: OpenqaServer,
  worker: Worker,
  workerClass: string,
  rounds: number,
): Promise<Pick<Memory, "busy" | "supervisors">> {
  const settings = { ...jobSettings("rest", workerClass), REST_SECONDS: String(jobSeconds) };
  const jobs: number[] = [];
  for (const _ of worker.instances) jobs.push(await postJob(server, settings));
  await Promise.all(jobs.map((id) => waitUntilRuns(server, id, "rest")));
  const busy = await readings(worker, rounds);
  const supervisors = (await workerPids(worker)).length - worker.pids.length;
  const states = await Promise.all(jobs.map((id) => jobState(server, id)));
  if (states.some(({ state }) => state !== "running"))
    throw new Error(`not all jobs of ${workerClass} ran for as long as memory was read`);
  for (const id of jobs) await server.api.post(`jobs/${id}/cancel`);
  await Promise.all(jobs.map((id) => waitForEnd(server, id)));
  return { busy, supervisors };
}

async function readings(worker: Worker, count: number): Promise<number[]> {
  const found = [await sumPssMb(await workerPids(worker))];
  while (found.length < count) {
    await Bun.sleep(betweenReadingsMs);
    found.push(await sumPssMb(await workerPids(worker)));
  }
  return found;
}
