// Memory of a worker side: PSS of all its processes but isotovideo's, idle with 1, 4 and 16 slots, before and after a
// job, and with a job in each slot; stock worker (a process per slot) and ours.
//   bun run test/bench/memory.ts
import { readFile, readlink } from "node:fs/promises";
import { installDistribution, jobSettings, postJob, waitForEnd, waitUntilRuns } from "../e2e/jobs.ts";
import type { Process } from "../e2e/processes.ts";
import { type OpenqaServer, startServer } from "../e2e/server.ts";
import { startOurWorker, startStockWorker, type Worker } from "../e2e/workers.ts";
import { printTable } from "./table.ts";

const slotCounts = [1, 4, 16];
/** Longer than it takes to start isotovideo in all slots and to measure. */
const restSeconds = 60;

type Row = (string | number)[];

/** Both sides are measured at rest: not while they tidy up after the start or a job. */
const restMs = 10_000;

const server = await startServer();
const rows: Row[] = [];
try {
  await installDistribution(server);
  for (const slots of slotCounts) {
    rows.push(["stock", slots, ...(await measure(slots, "stock"))]);
    rows.push(["ours", slots, ...(await measure(slots, "ours"))]);
  }
} finally {
  await server.stop();
}
console.log("\nPSS of all processes of a worker side in MB");
printTable(["", "slots", "idle", "after a job", "a job in each", "largest supervisor", "supervisors"], rows);

async function measure(slots: number, side: "stock" | "ours"): Promise<Row> {
  const workerClass = `${side}-${slots}`;
  const options = { instance: server.takeInstances(slots), slots, workerClass };
  const start = side === "stock" ? startStockWorker : startOurWorker;
  const worker = await start(server, options);
  try {
    await Bun.sleep(restMs);
    const idle = await sideMb(worker);
    await runJob(server, workerClass);
    await Bun.sleep(restMs);
    const after = await sideMb(worker);
    return [idle, after, ...(await measureBusy(worker, workerClass, slots))];
  } finally {
    await worker.stop();
  }
}

async function runJob(server: OpenqaServer, workerClass: string): Promise<void> {
  await waitForEnd(server, await postJob(server, jobSettings("quick", workerClass)));
}

/** With a resting job in each slot; the jobs are cancelled afterwards. */
async function measureBusy(worker: Worker, workerClass: string, slots: number): Promise<Row> {
  const settings = { ...jobSettings("rest", workerClass), REST_SECONDS: String(restSeconds) };
  const jobs: number[] = [];
  for (let slot = 0; slot < slots; slot++) jobs.push(await postJob(server, settings));
  await Promise.all(jobs.map((id) => waitUntilRuns(server, id, "rest")));
  const busy = await sideMb(worker);
  const own = await workerProcesses(worker);
  const supervisors = own.filter(({ pid }) => !worker.pids.includes(pid));
  const sizes = await Promise.all(supervisors.map(({ pid }) => pssMb(pid)));
  for (const id of jobs) await server.api.post(`jobs/${id}/cancel`);
  await Promise.all(jobs.map((id) => waitForEnd(server, id)));
  return [busy, sizes.length === 0 ? "-" : Math.max(...sizes), sizes.length];
}

async function sideMb(worker: Worker): Promise<number> {
  const sizes = await Promise.all((await workerProcesses(worker)).map(({ pid }) => pssMb(pid)));
  return sizes.reduce((sum, one) => sum + one, 0);
}

/** What runs the same program as the worker or was there while it was idle; all else is a job's. */
async function workerProcesses(worker: Worker): Promise<Process[]> {
  const ofJobs = new Set((await worker.jobProcesses()).map(({ pid }) => pid));
  const programs = await Promise.all(worker.pids.map(programOf));
  const all = await worker.processes();
  const isOwn = async ({ pid }: Process) => {
    const program = await programOf(pid);
    return (
      !ofJobs.has(pid) || (program !== undefined && programs.includes(program) && !program.includes("perl"))
    );
  };
  const own = await Promise.all(all.map(isOwn));
  return all.filter((_, index) => own[index]);
}

function programOf(pid: number): Promise<string | undefined> {
  return readlink(`/proc/${pid}/exe`).catch(() => undefined);
}

async function pssMb(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) / 1024;
}
