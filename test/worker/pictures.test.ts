// Pictures on the built executable: what the web UI gets in place of what isotovideo wrote, the process that makes them
// smaller, and what comes of a job when that breaks, hangs or has no time (field lesson 32).
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import type { BornProcess } from "../support/born-processes.ts";
import type { FakeJob, FakeWebUi } from "../support/fake-web-ui.ts";
import { plainJob, type TemporaryWorker, type TemporaryWorkerOptions } from "../support/temporary-worker.ts";
import {
  moduleReported,
  openHost,
  openWebUi,
  openWorker,
  startAgain,
  stopHostsAfterEach,
  type WorkerHost,
} from "../support/worker-host.ts";

stopHostsAfterEach();
/** The process is of the lowest priority: on a busy machine it has to wait. */
const patientMs = 60_000;
const testMs = 2 * patientMs;

const picturesPerModule = 3;
/** Of two modules, each with one more that is too small to be worth it. */
const pictureCount = 2 * (picturesPerModule + 1);
const pictureJob = { ...plainJob, FAKE_PICTURES: String(picturesPerModule) };
/** Pauses in its second module, with all pictures written and reported, until `letEnd`. */
const heldJob = { ...pictureJob, FAKE_PAUSE: "shell" };

/** The pool keeps what isotovideo wrote, for comparison. */
function withPool(options: TemporaryWorkerOptions = {}): TemporaryWorkerOptions {
  return {
    ...options,
    flags: ["--no-cleanup"],
    global: { LOG_LEVEL: "debug", ...options.global },
    own: { "pictures.timeout_ms": patientMs, ...options.own },
  };
}

async function allReported(ui: FakeWebUi, job: FakeJob): Promise<void> {
  await ui.request(() => job.pictures.size === pictureCount, { timeoutMs: patientMs });
}

/** A job whose pictures all go up while it runs. */
async function runJob({ ui, worker }: WorkerHost, settings: Record<string, string> = {}): Promise<FakeJob> {
  const job = ui.offer({ ...heldJob, ...settings });
  await allReported(ui, job);
  await letEnd(worker);
  await ui.setDone(job.id);
  return job;
}

async function letEnd(worker: TemporaryWorker, instance = 1): Promise<void> {
  await writeFile(join(worker.pool(instance), "resume"), "");
}

async function pictureProcesses(worker: TemporaryWorker): Promise<BornProcess[]> {
  return (await worker.bornSince()).filter(({ command }) => command.includes(" __pictures"));
}

/** The only one; resolves as soon as it is there. */
async function pictureProcess(worker: TemporaryWorker, isOther: (pid: number) => boolean = () => true) {
  for (const end = performance.now() + patientMs; performance.now() < end; await Bun.sleep(5)) {
    const [found, ...others] = await pictureProcesses(worker);
    if (others.length > 0) throw new Error(`There are ${others.length + 1} processes for pictures`);
    if (found && isOther(found.pid)) return found;
  }
  throw new Error(`No process for pictures:\n${worker.log}`);
}

interface Compared {
  readonly name: string;
  readonly isThumbnail: boolean;
  /** "same bytes": as isotovideo wrote it. */
  readonly sent: "same bytes" | "smaller, same pixels" | "another picture";
}

/** Every picture and thumbnail that the web UI has got, beside what isotovideo wrote. */
async function compare(worker: TemporaryWorker, job: FakeJob, instance = 1): Promise<Compared[]> {
  const folder = join(worker.pool(instance), "testresults");
  const names = (await readdir(folder)).filter((name) => name.endsWith(".png")).sort();
  const compared: Compared[] = [];
  for (const name of names) {
    const original = await readFile(join(folder, name));
    const md5 = createHash("md5").update(original).digest("hex");
    const thumbnail = await readFile(join(folder, ".thumbs", name));
    for (const [isThumbnail, written, sent] of [
      [false, original, job.pictures.get(md5)],
      [true, thumbnail, job.thumbnails.get(md5)],
    ] as const)
      if (sent) compared.push({ name, isThumbnail, sent: await howSent(written, sent) });
  }
  return compared;
}

async function howSent(written: Buffer, sent: Buffer): Promise<Compared["sent"]> {
  if (sent.equals(written)) return "same bytes";
  const [before, after] = await Promise.all([pixels(written), pixels(sent)]);
  return before.equals(after) && sent.length < written.length ? "smaller, same pixels" : "another picture";
}

async function pixels(png: Buffer): Promise<Buffer> {
  return await sharp(png).ensureAlpha().raw().toBuffer();
}

/** Of those that can be made smaller. */
function sentOf(compared: readonly Compared[]): string[] {
  return compared.filter(({ name }) => name.includes("screen")).map(({ sent }) => sent);
}

const all = <T>(value: T) => Array<T>(4 * picturesPerModule).fill(value);

/** In `.openqa-worker` of the pool. */
async function copiesLeft(worker: TemporaryWorker): Promise<string[]> {
  return await readdir(join(worker.pool(), ".openqa-worker/pictures")).catch(() => []);
}

test(
  "pictures and thumbnails go up smaller, their pixels the same, under the md5 of what isotovideo wrote",
  async () => {
    const host = await openHost(withPool());
    const { worker } = host;
    const job = await runJob(host);
    const compared = await compare(worker, job);
    expect(compared).toHaveLength(2 * pictureCount);
    expect(sentOf(compared)).toEqual(all("smaller, same pixels"));
    expect(compared.filter(({ name }) => !name.includes("screen")).map(({ sent }) => sent)).toEqual(
      Array(4).fill("same bytes"),
    );
    expect([job.pictures.size, job.thumbnails.size]).toEqual([pictureCount, pictureCount]);
    await worker.awaitLog(/Pictures made smaller: \d+, \d+ to \d+ bytes/);
    expect(await copiesLeft(worker)).toEqual([]);
    worker.kill("SIGTERM");
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
    expect(await worker.bornSince()).toEqual([]);
  },
  testMs,
);

test(
  "a job that ends at once gets them all, smaller or not",
  async () => {
    const { ui, worker } = await openHost(withPool());
    const job = ui.offer(pictureJob);
    await ui.setDone(job.id, { timeoutMs: patientMs });
    expect(job.result).toBe("passed");
    const compared = await compare(worker, job);
    expect(compared).toHaveLength(2 * pictureCount);
    expect(sentOf(compared)).not.toContain("another picture");
  },
  testMs,
);

test(
  "they are made smaller, and go up, while the job runs",
  async () => {
    const { ui, worker } = await openHost(withPool());
    const job = ui.offer(heldJob);
    await allReported(ui, job);
    expect(job.state).toBe("running");
    expect(sentOf(await compare(worker, job))).toEqual(all("smaller, same pixels"));

    await letEnd(worker);
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
  },
  testMs,
);

test(
  "a damaged picture goes up byte for byte",
  async () => {
    const host = await openHost(withPool());
    const job = await runJob(host, { FAKE_DAMAGED: "1" });
    expect(job.result).toBe("passed");
    const compared = await compare(host.worker, job);
    const damaged = compared.filter(({ name, isThumbnail }) => name.includes("screen1") && !isThumbnail);
    expect(damaged.map(({ sent }) => sent)).toEqual(["same bytes", "same bytes"]);
    expect(sentOf(compared.filter((one) => !damaged.includes(one)))).toEqual(
      all("smaller, same pixels").slice(2),
    );
  },
  testMs,
);

describe("OPTIMIZE_IMAGES=0", () => {
  test.each([
    ["of the job", { OPTIMIZE_IMAGES: "0" }, {}],
    ["of the worker", {}, { OPTIMIZE_IMAGES: "0" }],
  ])(
    "%s: they go up byte for byte, and no process is started",
    async (_, settings, global) => {
      const { ui, worker } = await openHost(withPool({ global }));
      const job = ui.offer({ ...heldJob, ...settings });
      await allReported(ui, job);
      expect(await pictureProcesses(worker)).toEqual([]);
      await letEnd(worker);
      await ui.setDone(job.id);
      expect(sentOf(await compare(worker, job))).toEqual(all("same bytes"));
      expect(worker.log).not.toContain("Optimising pictures");
    },
    testMs,
  );
});

test(
  "its process is KILLed in the middle, and another one goes on: every picture arrives",
  async () => {
    const { ui, worker } = await openHost(withPool());
    const job = ui.offer(heldJob);
    const { pid } = await pictureProcess(worker);
    process.kill(pid, "SIGKILL");
    await pictureProcess(worker, (other) => other !== pid);
    await allReported(ui, job);
    await letEnd(worker);
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
    const compared = await compare(worker, job);
    expect(compared).toHaveLength(2 * pictureCount);
    expect(sentOf(compared)).toContain("smaller, same pixels");
    expect(sentOf(compared)).not.toContain("another picture");
    expect(worker.log).toContain("The process that optimises pictures broke (signal SIGKILL)");
  },
  testMs,
);

describe("its process hangs", () => {
  /** The job runs, its pictures wait for the process. */
  async function hangingHost(options: TemporaryWorkerOptions) {
    const { ui, worker } = await openHost(withPool(options));
    const job = ui.offer(heldJob);
    const { pid } = await pictureProcess(worker);
    process.kill(pid, "SIGSTOP");
    await moduleReported(ui, job, "boot");
    return { ui, worker, job };
  }

  test.each([
    ["no longer than the delay that is set", 700],
    ["not at all with a delay of 0", 0],
  ])(
    "the end of the job waits %s, and the originals go up",
    async (_, delayMs) => {
      const { ui, worker, job } = await hangingHost({ own: { "pictures.end_delay_ms": delayMs } });
      await letEnd(worker);
      await worker.awaitLog(/Stopping job \d+: done/);
      const startMs = performance.now();
      const { atMs } = await ui.setDone(job.id);
      expect(atMs - startMs).toBeGreaterThan(delayMs * 0.9 - 50);
      expect(atMs - startMs).toBeLessThan(delayMs + 1500);
      expect(job.result).toBe("passed");
      expect(sentOf(await compare(worker, job))).toEqual(all("same bytes"));
      await worker.awaitLog(/Pictures that went out as they are, for lack of time at the end: 12/);
    },
    testMs,
  );

  test(
    "it is killed after its time, and the originals go up",
    async () => {
      const { ui, worker, job } = await hangingHost({ own: { "pictures.timeout_ms": 1000 } });
      await worker.awaitLog(/The process that optimises pictures broke \(.* took it longer than 1000 ms\)/);
      await letEnd(worker);
      await ui.setDone(job.id);
      const compared = await compare(worker, job);
      expect(sentOf(compared)).toContain("same bytes");
      expect(sentOf(compared)).not.toContain("another picture");
      expect(compared).toHaveLength(2 * pictureCount);
    },
    testMs,
  );

  test(
    "TERM to the worker waits for no picture, and nothing is left over",
    async () => {
      const { worker, job } = await hangingHost({ own: { "pictures.end_delay_ms": 20_000 } });
      const startMs = performance.now();
      worker.kill("SIGTERM");
      expect(await worker.exit()).toEqual({ code: 0, signal: null });
      expect(performance.now() - startMs).toBeLessThan(5000);
      expect(sentOf(await compare(worker, job))).toEqual(all("same bytes"));
      expect(await worker.bornSince()).toEqual([]);
    },
    testMs,
  );
});

test(
  "without pictures for a while its process ends; a later job gets another",
  async () => {
    const host = await openHost(withPool({ own: { "pictures.idle_ms": 200 } }));
    const { worker } = host;
    await runJob(host);

    await worker.awaitLog(/No picture for 0.2 s: the process that optimises them ends/);
    for (const end = performance.now() + 5000; performance.now() < end; await Bun.sleep(10))
      if ((await pictureProcesses(worker)).length === 0) break;
    expect(await pictureProcesses(worker)).toEqual([]);
    await rm(join(worker.pool(), "resume"), { force: true });
    const second = await runJob(host);
    expect(sentOf(await compare(worker, second))).toEqual(all("smaller, same pixels"));
  },
  testMs,
);

test(
  "a worker without pictures that are worth it has no process for them",
  async () => {
    const { ui, worker } = await openHost(withPool());
    const job = ui.offer(plainJob);
    await ui.setDone(job.id);
    expect(worker.log).not.toContain("Optimising pictures");
  },
  testMs,
);

test(
  "two slots share one process",
  async () => {
    const ui = await openWebUi();
    const worker = await openWorker(ui, withPool({ instances: "1-2" }));
    await ui.message({ type: "worker_status" });
    await ui.message(({ workerId }) => workerId === 2);
    const jobs = [1, 2].map((workerId) => ui.offer(heldJob, workerId));
    for (const job of jobs) await allReported(ui, job);
    expect(await pictureProcesses(worker)).toHaveLength(1);
    for (const instance of [1, 2]) await letEnd(worker, instance);
    for (const job of jobs) {
      await ui.setDone(job.id);
      const instance = ui.state.workers.get(job.assignedWorker ?? 0)?.capabilities.get("instance");
      expect(sentOf(await compare(worker, job, Number(instance)))).toEqual(all("smaller, same pixels"));
    }

    expect(worker.log.match(/Optimising pictures in process/g)).toHaveLength(1);
  },
  testMs,
);

test(
  "its process is none of a job's: it outlives one whose processes are all killed",
  async () => {
    const { ui, worker } = await openHost(withPool());
    const job = ui.offer(heldJob);
    const { pid } = await pictureProcess(worker);
    await moduleReported(ui, job, "boot");
    for (const supervisor of await worker.supervisors()) process.kill(supervisor.pid, "SIGKILL");
    await ui.setDone(job.id);
    expect(job.result).toBe("incomplete");
    expect((await pictureProcess(worker)).pid).toBe(pid);
  },
  testMs,
);

test.each([["SIGKILL"], ["SIGUSR2"]] as const)(
  "after %s to the worker its process ends too; the next start optimises what the job goes on to write",
  async (signal) => {
    const { ui, worker } = await openHost(withPool());
    const job = ui.offer({ ...heldJob, FAKE_MODULES: "boot:ok,shell:ok,later:ok" });
    const { pid } = await pictureProcess(worker);
    await allReported(ui, job);
    worker.kill(signal);
    await worker.exit();
    for (const end = performance.now() + 5000; performance.now() < end; await Bun.sleep(5))
      if ((await pictureProcesses(worker)).length === 0) break;
    expect(await pictureProcesses(worker)).toEqual([]);
    const next = startAgain(worker);
    await next.awaitLog(/Going on with job/);
    await letEnd(worker);
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
    const compared = await compare(worker, job);
    expect(compared.filter(({ name }) => name.startsWith("later-screen"))).toHaveLength(
      2 * picturesPerModule,
    );
    expect(sentOf(compared)).toEqual(Array(6 * picturesPerModule).fill("smaller, same pixels"));
    expect(next.log).toMatch(/Optimising pictures in process/);
    expect(next.log).not.toContain(`Optimising pictures in process ${pid}\n`);
  },
  testMs,
);
