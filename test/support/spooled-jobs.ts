// Jobs whose end waits in the spool: settings with small delays, what is in the spool of a worker, and the job itself.
import { expect } from "bun:test";
import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FakeJob, FakeWebUi, RecordedRequest } from "./fake-web-ui.ts";
import { plainJob, type TemporaryWorker, type TemporaryWorkerOptions } from "./temporary-worker.ts";
import type { WorkerHost } from "./worker-host.ts";

/** Assets go by chunks; a web UI that is away is noticed at once, and found again soon. */
export const spoolingOptions: TemporaryWorkerOptions = {
  own: {
    "spool.tries_before": 2,
    "spool.retry_delay_ms": 20,
    "spool.max_retry_delay_ms": 100,
    "report.interval_ms": 50,
  },
  global: { LOCAL_UPLOAD: 0, UPLOAD_CHUNK_SIZE: 1000 },
  env: { OPENQA_WORKER_CONNECT_INTERVAL: "0.05" },
};

/** Goes on until `letEnd`. The same job, whichever web UI it comes from. */
export const endlessJob = {
  ...plainJob,
  NAME: "00000001-same",
  JOBTOKEN: "same",
  FAKE_ULOGS: "u.log,v.log",
  FAKE_ASSETS_PUBLIC: "pub.img:1500",
  FAKE_ASSETS_PRIVATE: "priv.img",
  FAKE_UNTIL: "go",
};

export async function letEnd(worker: TemporaryWorker, instance = 1): Promise<void> {
  await writeFile(join(worker.pool(instance), "go"), "");
}

/** Offers it and resolves when the web UI has been told that isotovideo is through with all modules. */
export async function runningJob(
  { ui, workerId }: Pick<WorkerHost, "ui" | "workerId"> & Partial<WorkerHost>,
  settings: Record<string, unknown> = {},
): Promise<FakeJob> {
  const job = await acceptedJob(ui, { ...endlessJob, ...settings }, workerId);
  const ordered = await ui.request((request) => postOf(job, request)?.includes('"test_order"') === true);
  const isThrough = (post: string | undefined) => post !== undefined && !post.includes('"result":"running"');
  await ui.request((request) => isThrough(postOf(job, request)), { from: ordered.index });
  return job;
}

/** Body of an answered status post. */
function postOf({ id }: FakeJob, { path, answer, body }: RecordedRequest): string | undefined {
  return path === `/api/v1/jobs/${id}/status` && answer ? body.toString() : undefined;
}

/** The slot takes a job and finishes it. */
export async function worksOn(ui: FakeWebUi, workerId?: number): Promise<void> {
  const job = await acceptedJob(ui, plainJob, workerId);
  await ui.setDone(job.id);
  expect(job.result).toBe("passed");
}

/** As the scheduler does it: offered again as long as it is rejected. */
async function acceptedJob(ui: FakeWebUi, settings: Record<string, unknown>, id?: number): Promise<FakeJob> {
  const workerId = id ?? (await ui.registered());
  let from = ui.now;
  const job = ui.offer(settings, workerId);
  for (let rejections = 0; rejections < maxRejections; rejections++) {
    const { value } = await ui.message(
      ({ value: { type, jobid, job_ids } }) =>
        (type === "accepted" && jobid === job.id) ||
        (type === "rejected" && Bun.deepEquals(job_ids, [job.id])),
      { from },
    );
    if (value["type"] === "accepted") return job;
    await Bun.sleep(20);
    from = ui.now;
    ui.offerAgain(job, workerId);
  }
  throw new Error(`Job ${job.id} was rejected ${maxRejections} times`);
}

const maxRejections = 250;

/** Its end waits in the spool afterwards; the web UI is away. */
export async function spooledJob(host: WorkerHost, settings: Record<string, unknown> = {}): Promise<FakeJob> {
  const job = await runningJob(host, settings);
  await host.ui.goAway();
  await letEnd(host.worker);
  await waits(host.worker, 1);
  return job;
}

export function spoolFolder({ folder }: TemporaryWorker, instance = 1): string {
  return join(folder, "openqa/pool/.openqa-worker/spool", String(instance));
}

/** Paths of the entries that are complete, oldest first. */
export async function entriesIn(worker: TemporaryWorker, kind: "waiting" | "refused"): Promise<string[]> {
  const folder = join(spoolFolder(worker), kind);
  const names = await readdir(folder).catch(() => []);
  const paths = names.sort().map((name) => join(folder, name));
  const complete = await Promise.all(paths.map((path) => isThere(join(path, ".openqa-worker/job.json"))));
  return paths.filter((_, index) => complete[index]);
}

/** Resolves when so many ends wait, and nothing of a job is in the pool. Only the folders can tell. */
export async function waits(worker: TemporaryWorker, count: number): Promise<void> {
  await eventually(`${count} in the spool`, worker, async () => {
    if ((await entriesIn(worker, "waiting")).length !== count) return false;
    return !(await isThere(join(worker.pool(), ".openqa-worker/job.json")));
  });
}

/** Resolves when it is refused, and nothing waits. */
export async function isRefused(worker: TemporaryWorker, count = 1): Promise<void> {
  await eventually(`${count} refused`, worker, async () => {
    const [waiting, refused] = [await entriesIn(worker, "waiting"), await entriesIn(worker, "refused")];
    return waiting.length === 0 && refused.length === count;
  });
}

/** For what no event tells. */
export async function eventually(
  what: string,
  worker: TemporaryWorker,
  isSo: () => Promise<boolean> | boolean,
  timeoutMs = 15_000,
): Promise<void> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; await Bun.sleep(10))
    if (await isSo()) return;
  throw new Error(`Not so within ${timeoutMs} ms: ${what}. Log:\n${worker.log.slice(-4000)}`);
}

export async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
