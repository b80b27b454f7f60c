// A fake web UI with a temporary worker that has registered there; what tests of the whole worker start with.
import { afterEach, test } from "bun:test";
import { AsyncLocalStorage } from "node:async_hooks";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FakeJob, type FakeWebUi, type RecordedMessage, startFakeWebUi } from "./fake-web-ui.ts";
import {
  plainJob,
  startWorker,
  type TemporaryWorker,
  type TemporaryWorkerOptions,
} from "./temporary-worker.ts";

export interface WorkerHost {
  readonly ui: FakeWebUi;
  readonly worker: TemporaryWorker;
  readonly workerId: number;
}

interface Stoppable {
  stop(): Promise<void>;
}

/** What was opened outside of `sideBySide`. */
const open: Stoppable[] = [];
const openInTest = new AsyncLocalStorage<Stoppable[]>();

function stopLater(one: Stoppable): void {
  (openInTest.getStore() ?? open).push(one);
}

/** More at a time would make each other late on a small machine. */
const maxSideBySide = 4;
const waiting: (() => void)[] = [];
let running = 0;

/**
 * A test that runs beside others of its file, a few at a time. What it opens is ended after it; only processes that know
 * the folder of its worker count as that one's.
 */
export function sideBySide(name: string, body: () => Promise<void>, timeoutMs: number): void {
  const play = async () => {
    if (running >= maxSideBySide) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    const opened: Stoppable[] = [];
    try {
      await openInTest.run(opened, body);
    } finally {
      for (const one of opened.reverse()) await one.stop();
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
  test.concurrent(name, play, timeoutMs);
}

/** Ends after each test of the calling file whatever the test started. */
export function stopHostsAfterEach(): void {
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.stop();
  });
}

/** Is stopped after the test, as are those below. */
export async function openWebUi(): Promise<FakeWebUi> {
  const ui = await startFakeWebUi();
  stopLater(ui);
  return ui;
}

export async function openWorker(
  uis: FakeWebUi | FakeWebUi[],
  options?: TemporaryWorkerOptions,
): Promise<TemporaryWorker> {
  const isSideBySide = openInTest.getStore() !== undefined;
  const worker = await startWorker(uis, { ...options, ...(isSideBySide && { isSideBySide }) });
  stopLater(worker);
  return worker;
}

/** The next start of a worker, with its folders and configuration. */
export function startAgain(worker: TemporaryWorker): TemporaryWorker {
  const next = worker.startAnother();
  stopLater(next);
  return next;
}

/** A temporary folder; what uses it has to be opened after it. */
export async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "openqa-worker-test-"));
  stopLater({ stop: () => rm(folder, { recursive: true, force: true }) });
  return folder;
}

/** A worker that is connected and idle. */
export async function openHost(options?: TemporaryWorkerOptions): Promise<WorkerHost> {
  const ui = await openWebUi();
  const worker = await openWorker(ui, options);
  return { ui, worker, workerId: await ui.registered() };
}

/** The worker still does its work: it takes a job and finishes it. */
export async function finishesNextJob(
  ui: FakeWebUi,
  workerId?: number,
  settings: Readonly<Record<string, unknown>> = plainJob,
): Promise<void> {
  const job = ui.offer(settings, workerId);
  await ui.message({ type: "accepted", jobid: job.id });
  await ui.setDone(job.id);
  if (job.result !== "passed") throw new Error(`Next job ended as ${job.result}, ${job.reason}`);
}

/** Resolves when a module's result has arrived. */
export async function moduleReported(ui: FakeWebUi, job: FakeJob, module = "shell"): Promise<void> {
  await ui.request(
    ({ answer }) => answer !== undefined && Array.isArray(job.results.get(module)?.["details"]),
  );
}

/** Resolves with the message that rejects this job id. */
export async function rejected(ui: FakeWebUi, id: number | string): Promise<RecordedMessage> {
  return await ui.message(({ value }) => {
    const { type, job_ids } = value;
    return type === "rejected" && Array.isArray(job_ids) && job_ids.map(String).includes(String(id));
  });
}
