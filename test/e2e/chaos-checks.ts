// What is wrong with the jobs that went through the unruly proxy, in words: against what they had to come to, what they
// left in their pools, and what the worker has logged.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ChaosJob } from "./chaos-jobs.ts";
import { differencesFromPool } from "./compare.ts";
import { type JobReport, readJob } from "./jobs.ts";
import type { KeptIsotovideo } from "./kept-isotovideo.ts";
import type { OpenqaServer } from "./server.ts";

/** Jobs that are looked at at once. */
const parallelLooks = 4;

/** What there is after all jobs are done. */
export interface Aftermath {
  readonly server: OpenqaServer;
  readonly kept: KeptIsotovideo;
  readonly workerLog: string;
  /** By job, see `resetsOf`. */
  readonly resets: ReadonlyMap<number, number>;
}

/**
 * How often the server has put each job back, before any report of it, after it was assigned: a registration or a status
 * was under way to it that did not know the job. Then it is run anew, and a slot that has begun with it is refused.
 */
export async function resetsOf(server: OpenqaServer): Promise<Map<number, number>> {
  const logs = await Promise.all(["webui", "websockets"].map((name) => readFile(server.log(name), "utf8")));
  const counts = new Map<number, number>();
  for (const [, id] of logs.join("").matchAll(/Job (\d+) reset to state scheduled/g))
    counts.set(Number(id), (counts.get(Number(id)) ?? 0) + 1);
  return counts;
}

/** Looks at all jobs. */
export async function allFaults(
  jobs: ReadonlyMap<number, ChaosJob>,
  aftermath: Aftermath,
): Promise<string[]> {
  const todo = [...jobs];
  const faults: string[] = [];
  const look = async () => {
    for (let next = todo.pop(); next; next = todo.pop()) {
      const [id, job] = next;
      const found = await faultsOf(id, job, aftermath);
      faults.push(...found.map((fault) => `job ${id} (${job.key}): ${fault}`));
    }
  };
  await Promise.all(Array.from({ length: parallelLooks }, look));
  return faults;
}

async function faultsOf(id: number, job: ChaosJob, aftermath: Aftermath): Promise<string[]> {
  const { server, kept } = aftermath;
  const report = await readJob(server, id);
  const starts = await kept.starts(job.key);
  if (starts === 0) return [`it was never run: ${report.result}, ${report.reason}`];
  return [
    ...faultyRuns(id, starts, aftermath),
    ...faultyReport(report, job.expected),
    ...(await faultyLogs(server, report, kept.folder(job.key))),
    ...(await differencesFromPool(server, report, kept.folder(job.key), false)),
  ];
}

function faultyRuns(id: number, starts: number, { workerLog, resets }: Aftermath): string[] {
  const accepted = workerLog.split(`Accepted job ${id} `).length - 1;
  const most = 1 + (resets.get(id) ?? 0);
  const isFine = accepted >= 1 && accepted <= most && starts <= accepted;
  return isFine ? [] : [`it was assigned ${most} times, accepted ${accepted} times, run ${starts} times`];
}

function faultyReport(report: JobReport, expected: ChaosJob["expected"]): string[] {
  const privatePrefix = `${String(report.id).padStart(8, "0")}-`;
  const pairs: Record<string, [is: unknown, expected: unknown]> = {
    state: [report.state, "done"],
    result: [report.result, expected.result],
    reason: [report.reason, expected.reason],
    clone: [report.cloneId, undefined],
    // Each module of the fake isotovideo has a picture and a text.
    modules: [
      report.modules.map(({ name, result, steps }) => [name, result, steps.length]),
      expected.modules.map(([name, result]) => [name, result, 2]),
    ],
    ulogs: [report.ulogs, expected.ulogs],
    assets: [
      report.assets,
      [
        ...expected.publicAssets.map((name) => `other/${name}`),
        ...expected.privateAssets.map((name) => `hdd/${privatePrefix}${name}`),
      ],
    ],
    logs: [report.logs, logNames],
  };
  return Object.entries(pairs)
    .filter(([, [is, expected]]) => !Bun.deepEquals(is, expected))
    .map(([what, [is, expected]]) => `${what}: ${JSON.stringify(is)}, expected ${JSON.stringify(expected)}`);
}

const logNames = ["autoinst-log.txt", "serial0.txt", "vars.json", "video.ogv", "worker-log.txt"];
/** Names in the pool. */
const copiedLogs = { serial0: "serial0.txt", "video.ogv": "video.ogv" };
const wholeLogs = {
  "autoinst-log.txt": /setup notes.*worker notes.*isotovideo starts.*isotovideo ends.*Uploading/s,
  "worker-log.txt": /Setting up job.*Uploading serial0.txt.*Uploading autoinst-log.txt/s,
};

async function faultyLogs(server: OpenqaServer, { id }: JobReport, keptFolder: string): Promise<string[]> {
  const found: string[] = [];
  const served = (name: string) => server.api.download(`/tests/${id}/file/${name}`);
  for (const [inPool, name] of Object.entries(copiedLogs))
    if (!(await readFile(join(keptFolder, inPool))).equals(await served(name))) found.push(`${name} differs`);
  for (const [name, whole] of Object.entries(wholeLogs)) {
    const text = new TextDecoder().decode(await served(name));
    if (!whole.test(text)) found.push(`${name} is not whole: ${text}`);
  }
  return found;
}
