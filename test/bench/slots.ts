// Many slots in one process, with a stand-in for the web UI: a job in each, all offered at once and ended at about the same
// time. What that costs the worker, its supervisors and isotovideo left out, and whether anything gets lost.
//   bun run test/bench/slots.ts
import { readFile } from "node:fs/promises";
import { type FakeJob, type FakeWebUi, startFakeWebUi } from "../support/fake-web-ui.ts";
import { plainJob, startWorker } from "../support/temporary-worker.ts";
import { printTable } from "./table.ts";

const slotCounts = [25, 50, 100, 200];
const jobSeconds = 30;
const limitMs = 300_000;
/** Between looks at memory, and at whether all is done. */
const lookMs = 200;
const clockTicksPerSecond = 100;

/** As they are by default: the tests' own are for a web UI with one worker. */
const own = {
  "timeouts.answer_ms": 60_000,
  "timeouts.idle_ms": 60_000,
  "timeouts.request_ms": 300_000,
  "timeouts.websocket_ms": 20_000,
  "report.interval_ms": 10_000,
};
const global = { STATUS_MIN_INTERVAL: 60, STATUS_MAX_INTERVAL: 300 };

const rows: (string | number)[][] = [];
for (const slots of slotCounts) rows.push(await measure(slots));
console.log(`\nA job of ${jobSeconds} s in each of many slots of one process`);
printTable(["slots", "passed", "registered in s", "done in s", "CPU s", "CPU ms a job", "peak PSS MB"], rows);

async function measure(slots: number): Promise<(string | number)[]> {
  const ui = await startFakeWebUi();
  const startMs = performance.now();
  const worker = await startWorker(ui, { instances: `1-${slots}`, global, own });
  try {
    const workerIds = await registered(ui, slots);
    const registeredS = (performance.now() - startMs) / 1000;
    const cpuBefore = await cpuSeconds(worker.pid);
    const offeredMs = performance.now();
    const settings = { ...plainJob, FAKE_SECONDS: String(jobSeconds), FAKE_ULOGS: "a.log" };
    const jobs = workerIds.map((id) => ui.offer(settings, id));
    const peakMb = await untilDone(jobs, worker.pid);
    const cpu = (await cpuSeconds(worker.pid)) - cpuBefore;
    const doneS = (performance.now() - offeredMs) / 1000;
    const passed = jobs.filter(({ result }) => result === "passed").length;
    return [String(slots), passed, registeredS, doneS, cpu, (1000 * cpu) / slots, peakMb];
  } finally {
    await worker.stop();
    await ui.stop();
  }
}

async function registered(ui: FakeWebUi, slots: number): Promise<number[]> {
  const ids = new Set<number>();
  await ui.message(({ workerId }) => ids.add(workerId).size === slots, { timeoutMs: limitMs });
  return [...ids];
}

/** Resolves with the most memory that the worker has had meanwhile. */
async function untilDone(jobs: readonly FakeJob[], pid: number): Promise<number> {
  let peakMb = 0;
  for (const end = performance.now() + limitMs; performance.now() < end; await Bun.sleep(lookMs)) {
    peakMb = Math.max(peakMb, await pssMb(pid));
    if (jobs.every(({ state }) => state === "done")) break;
  }
  return peakMb;
}

async function pssMb(pid: number): Promise<number> {
  const [, kib] = /^Pss:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, "latin1")) ?? [];
  return Number(kib) / 1024;
}

async function cpuSeconds(pid: number): Promise<number> {
  const [, afterName = ""] = (await readFile(`/proc/${pid}/stat`, "latin1")).split(") ");
  const fields = afterName.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond;
}
