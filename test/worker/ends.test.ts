// Every end of a job, on the built executable: what the server is sent, in which order, what is uploaded, what is
// left of the job's processes, and how the worker itself ends.
import { describe, expect, test } from "bun:test";
import { type FakeJob, type FakeWebUi, fieldOf } from "../support/fake-web-ui.ts";
import type { TemporaryWorker, TemporaryWorkerOptions } from "../support/temporary-worker.ts";
import { plainJob } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  moduleReported,
  openHost,
  rejected,
  stopHostsAfterEach,
  type WorkerHost,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;

const leaving = { FAKE_ULOGS: "u.log", FAKE_ASSETS_PUBLIC: "pub.img", FAKE_ASSETS_PRIVATE: "priv.img" };
const quickJob = { ...plainJob, ...leaving };
/** Slow enough for the reporter to see the modules one after the other. */
const longJob = { ...quickJob, FAKE_SECONDS: "1.2", FAKE_LINGER: "60" };
const stubborn = { FAKE_NASTY: "1" };
const slowHook = { SYNC_ASSETS_HOOK: "sleep 60" };
const diedText = "died: terminated prematurely, see log output for details";
const quitText = "quit: worker has been stopped or restarted";

const setupLogNames = ["autoinst-log.txt", "worker-log.txt"];
const logNames = {
  all: [...setupLogNames, "serial0.txt", "u.log", "vars.json", "video.ogv"].sort(),
  setup: setupLogNames,
  none: [],
};

interface Uploads {
  /** Those of a job that ran, or only those of a set-up that came to nothing. */
  readonly logs: "all" | "setup" | "none";
  readonly assets: boolean;
  /** Results of all modules, or none because isotovideo never ran. */
  readonly lastStatus: boolean;
}
interface End extends Uploads {
  readonly title: string;
  readonly settings: Record<string, string>;
  readonly options?: TemporaryWorkerOptions;
  /** What brings the end about; default: isotovideo ends by itself. */
  readonly cause?: (host: WorkerHost, job: FakeJob) => Promise<void>;
  readonly result?: string;
  readonly reason?: string;
}

const all: Uploads = { logs: "all", assets: true, lastStatus: true };
const noAssets: Uploads = { logs: "all", assets: false, lastStatus: true };
const resultsOnly: Uploads = { logs: "none", assets: false, lastStatus: true };
const setupLogs: Uploads = { logs: "setup", assets: false, lastStatus: false };

const ends: readonly End[] = [
  { title: "done", settings: quickJob, ...all },
  {
    title: "done with a result in base_state.json",
    settings: {
      ...quickJob,
      FAKE_BASE_STATE: '{"component":"tests","msg":"Too many steps\\nmore","result":"incomplete"}',
    },
    result: "incomplete",
    reason: "tests done: Too many steps",
    ...all,
  },
  {
    title: "done with a corrupted base_state.json",
    settings: { ...quickJob, FAKE_BASE_STATE: "{half" },
    reason: "done: terminated with corrupted state file",
    ...all,
  },
  {
    title: "died",
    settings: { ...quickJob, FAKE_EXIT: "1" },
    result: "incomplete",
    reason: diedText,
    ...noAssets,
  },
  {
    title: "died with a cause in base_state.json",
    settings: {
      ...quickJob,
      FAKE_EXIT: "1",
      FAKE_BASE_STATE: '{"component":"backend","msg":"QEMU exited unexpectedly, see log for details\\nmore"}',
    },
    result: "incomplete",
    reason: "backend died: QEMU exited unexpectedly, see log for details",
    ...noAssets,
  },
  {
    title: "died with an empty base_state.json",
    settings: { ...quickJob, FAKE_EXIT: "1", FAKE_BASE_STATE: "" },
    result: "incomplete",
    reason: "terminated prematurely: Encountered corrupted state file, see log output for details",
    ...noAssets,
  },
  {
    title: "isotovideo KILLs itself",
    settings: { ...quickJob, FAKE_SIGNAL: "KILL" },
    result: "incomplete",
    reason: diedText,
    ...noAssets,
  },
  {
    title: "isotovideo is KILLed from outside",
    settings: longJob,
    cause: async ({ worker }) => killIsotovideo(worker),
    result: "incomplete",
    reason: diedText,
    ...noAssets,
  },
  {
    title: "the supervisor is KILLed",
    settings: { ...longJob, ...stubborn },
    cause: async ({ worker }) => {
      for (const { pid } of await worker.supervisors()) process.kill(pid, "SIGKILL");
    },
    result: "incomplete",
    reason: diedText,
    ...noAssets,
  },
  {
    title: "cancelled by a user",
    settings: longJob,
    cause: async ({ ui }, job) => ui.cancel(job),
    result: "user_cancelled",
    ...all,
  },
  {
    title: "obsolete",
    settings: longJob,
    cause: async ({ ui, workerId }, job) => ui.send(workerId, { type: "obsolete", jobid: job.id }),
    result: "incomplete",
    reason: "isotovideo obsolete: isotovideo received signal TERM",
    ...noAssets,
  },
  {
    title: "obsolete, isotovideo ignoring TERM",
    settings: { ...longJob, FAKE_IGNORE_TERM: "1" },
    cause: async ({ ui, workerId }, job) => ui.send(workerId, { type: "obsolete", jobid: job.id }),
    result: "incomplete",
    reason: "obsolete",
    ...noAssets,
  },
  {
    title: "abort",
    settings: longJob,
    cause: async ({ ui, workerId }, job) => ui.send(workerId, { type: "abort", jobid: String(job.id) }),
    result: "incomplete",
    reason: "isotovideo abort: isotovideo received signal TERM",
    ...resultsOnly,
  },
  {
    title: "MAX_JOB_TIME",
    settings: { ...longJob, FAKE_SECONDS: "0.2", MAX_JOB_TIME: "1" },
    result: "timeout_exceeded",
    reason: "timeout: test execution exceeded MAX_JOB_TIME",
    ...noAssets,
  },
  {
    title: "MAX_SETUP_TIME",
    settings: { ...longJob, MAX_SETUP_TIME: "1" },
    options: { global: slowHook },
    result: "timeout_exceeded",
    reason: "timeout: setup exceeded MAX_SETUP_TIME",
    ...setupLogs,
  },
  {
    title: "cancelled during the set-up (field lesson 30)",
    settings: longJob,
    options: { global: slowHook },
    cause: async ({ ui, worker }, job) => {
      await hookRuns(worker);
      ui.cancel(job);
    },
    result: "user_cancelled",
    ...setupLogs,
  },
  {
    title: "an asset is missing",
    settings: { ...longJob, ISO: "none.iso" },
    result: "incomplete",
    reason: "asset failure: Cannot find ISO asset iso/none.iso!",
    ...setupLogs,
  },
  {
    title: "no tests scheduled",
    settings: { ...longJob, FAKE_MODULES: "", FAKE_IGNORE_TERM: "1" },
    result: "incomplete",
    reason: "no tests scheduled",
    logs: "all",
    assets: false,
    lastStatus: false,
  },
];

/** Those that are shown again with a job that leaves processes which are hard to get rid of. */
const alsoStubborn = [
  "done",
  "died",
  "isotovideo KILLs itself",
  "isotovideo is KILLed from outside",
  "cancelled by a user",
  "abort",
  "MAX_JOB_TIME",
];

describe("a job ends", () => {
  for (const end of ends) {
    test(`: ${end.title}`, async () => await playAndCheck(end), testMs);
    if (!alsoStubborn.includes(end.title)) continue;
    const reason = end.reason?.replace(/^isotovideo (\w+): .*/, "$1");
    const nasty = {
      ...end,
      settings: { ...end.settings, ...stubborn },
      ...(reason === undefined ? {} : { reason }),
    };
    test(`: ${end.title}, leaving stubborn processes`, async () => await playAndCheck(nasty), testMs);
  }

  async function playAndCheck(end: End): Promise<void> {
    const host = await openHost(end.options);
    const { ui, worker } = host;
    const job = ui.offer(end.settings);
    if (end.cause) {
      if (end.lastStatus) await moduleReported(ui, job);
      await end.cause(host, job);
    }
    const { query } = await ui.setDone(job.id);
    expect(await worker.jobProcesses()).toEqual([]);
    expect({ result: query.get("result"), reason: query.get("reason") }).toEqual({
      result: end.result ?? null,
      reason: end.reason ?? null,
    });
    expect(query.get("newbuild")).toBe(end.title.startsWith("obsolete") ? "1" : null);
    expectUploads(ui, job, end);
    expectOrder(ui, job);
    if (end.options === undefined) await finishesNextJob(ui);
    expect((await worker.bornSince()).map(({ pid }) => pid)).toContain(worker.pid);
  }
});

describe("the worker is told to end (field lesson 38: HUP twice is HUP once, TERM overrides it)", () => {
  const quit = { result: "incomplete", reason: quitText };

  for (const signal of ["SIGTERM", "SIGINT"] as const)
    for (const extra of [{}, stubborn])
      test(
        `${signal} duplicates the running job ${"FAKE_NASTY" in extra ? "(stubborn) " : ""}and quits`,
        async () => {
          const { ui, worker } = await openHost();
          const job = await runningJob(ui, extra);
          worker.kill(signal);
          await expectEnd(worker, 0);
          expect(sent(ui, job)).toEqual(quit);
          expect(job.clone).toBeDefined();
          expectUploads(ui, job, resultsOnly);
          expectOrder(ui, job);
          expectQuitIsLast(ui);
        },
        testMs,
      );

  test(
    "TERM while idle quits at once",
    async () => {
      const { ui, worker } = await openHost();
      worker.kill("SIGTERM");
      await expectEnd(worker, 0);
      expectQuitIsLast(ui);
    },
    testMs,
  );

  test(
    "TERM during the set-up quits the job that never ran",
    async () => {
      const { ui, worker } = await openHost({ global: slowHook });
      const job = ui.offer(longJob);
      await hookRuns(worker);
      worker.kill("SIGTERM");
      await expectEnd(worker, 0);
      expect(sent(ui, job)).toEqual(quit);
      expectUploads(ui, job, { logs: "none", assets: false, lastStatus: false });
      expectOrder(ui, job);
      expectQuitIsLast(ui);
    },
    testMs,
  );

  test(
    "TERM keeps the reason when the job cannot be duplicated",
    async () => {
      const { ui, worker } = await openHost();
      const job = await runningJob(ui);
      ui.fault(/duplicate/, { status: 400, body: '{"error":"no"}' });
      worker.kill("SIGTERM");
      await expectEnd(worker, 0);
      expect(sent(ui, job).reason).toStartWith(quitText);
    },
    testMs,
  );

  test(
    "a second TERM kills the job at once",
    async () => {
      const { ui, worker } = await openHost({ own: { "stop.grace_ms": 50_000, "stop.total_ms": 55_000 } });
      const job = await runningJob(ui, stubborn);
      const from = ui.now;
      worker.kill("SIGTERM");
      await ui.request(({ path, json }) => path.endsWith("/status") && isUploading(json), { from });
      worker.kill("SIGTERM");
      await expectEnd(worker, 0, 15_000);
      expect(sent(ui, job)).toEqual(quit);
      expectOrder(ui, job);
    },
    testMs,
  );

  test(
    "a third TERM ends the worker, whatever it waits for",
    async () => {
      const { ui, worker } = await openHost({ own: { "stop.grace_ms": 50_000, "stop.total_ms": 55_000 } });
      await runningJob(ui, stubborn);
      ui.fault(/set_done|uploading|duplicate|status/, "hang", Infinity);
      worker.kill("SIGTERM");
      await worker.awaitLog(/Stopping: /);
      worker.kill("SIGTERM");
      await worker.awaitLog(/Told to stop again/);
      await jobProcessesGone(worker);
      worker.kill("SIGTERM");
      await worker.exit(10_000);
      // It did not wait for the supervisor, which ends by itself.
      await nothingLeft(worker);
    },
    testMs,
  );

  test(
    "the total deadline bounds an end to which the web UI gives no answer (field lesson 1)",
    async () => {
      const { ui, worker } = await openHost({ own: { "stop.total_ms": 3000, "timeouts.answer_ms": 50_000 } });
      await runningJob(ui);
      ui.fault(/jobs/, "hang", Infinity);
      const before = performance.now();
      worker.kill("SIGTERM");
      await expectEnd(worker, 0, 15_000);
      expect(performance.now() - before).toBeLessThan(10_000);
    },
    testMs,
  );

  test(
    "HUP while idle quits",
    async () => {
      const { ui, worker } = await openHost();
      worker.kill("SIGHUP");
      await expectEnd(worker, 0);
      expectQuitIsLast(ui);
    },
    testMs,
  );

  for (const times of [1, 2])
    test(
      `HUP ${times === 1 ? "" : "twice "}finishes the job, takes no other, and quits`,
      async () => {
        const { ui, worker } = await openHost();
        const job = await runningJob(ui, { FAKE_LINGER: "3" });
        for (let said = 0; said < times; said++) worker.kill("SIGHUP");
        await worker.awaitLog(/Finishing off/);
        const other = ui.offer(quickJob);
        expect((await rejected(ui, other.id)).value["reason"]).toBe("currently stopping");
        await expectEnd(worker, 0);
        expect(job.result).toBe("passed");
        expect(sent(ui, job)).toEqual({ result: null, reason: null });
        expectUploads(ui, job, all);
        expectOrder(ui, job);
        expectQuitIsLast(ui);
      },
      testMs,
    );

  test(
    "TERM after HUP stops the job",
    async () => {
      const { ui, worker } = await openHost();
      const job = await runningJob(ui);
      worker.kill("SIGHUP");
      await worker.awaitLog(/Finishing off/);
      worker.kill("SIGTERM");
      await expectEnd(worker, 0);
      expect(sent(ui, job)).toEqual(quit);
    },
    testMs,
  );

  test(
    "a HUP after TERM changes nothing",
    async () => {
      const { ui, worker } = await openHost();
      const job = await runningJob(ui, { FAKE_IGNORE_TERM: "1" });
      worker.kill("SIGTERM");
      await ui.request(({ path, json }) => path.endsWith("/status") && isUploading(json));
      worker.kill("SIGHUP");
      await expectEnd(worker, 0);
      expect(sent(ui, job)).toEqual(quit);
    },
    testMs,
  );

  test(
    "a job offered while stopping is rejected (field lesson 2)",
    async () => {
      const { ui, worker } = await openHost();
      await runningJob(ui, { FAKE_IGNORE_TERM: "1" });
      worker.kill("SIGTERM");
      await ui.request(({ path, json }) => path.endsWith("/status") && isUploading(json));
      const other = ui.offer(quickJob);
      expect((await rejected(ui, other.id)).value["reason"]).toBe("currently stopping");
      await expectEnd(worker, 0);
    },
    testMs,
  );

  async function expectEnd(worker: TemporaryWorker, code: number, timeoutMs?: number): Promise<void> {
    expect(await worker.exit(timeoutMs)).toEqual({ code, signal: null });
    expect(await worker.bornSince()).toEqual([]);
  }
});

test(
  "a stop command said twice is ignored the second time",
  async () => {
    const { ui, worker, workerId } = await openHost();
    const job = await runningJob(ui, { FAKE_IGNORE_TERM: "1" });
    ui.cancel(job);
    await ui.request(({ path, json }) => path.endsWith("/status") && isUploading(json));
    ui.send(workerId, { type: "abort", jobid: job.id });
    await ui.setDone(job.id);
    expect(sent(ui, job)).toEqual({ result: "user_cancelled", reason: null });
    expectUploads(ui, job, all);
    expect(await worker.jobProcesses()).toEqual([]);
  },
  testMs,
);

async function runningJob(ui: FakeWebUi, extra: Record<string, string> = {}): Promise<FakeJob> {
  const job = ui.offer({ ...longJob, ...extra });
  await moduleReported(ui, job);
  return job;
}

async function killIsotovideo(worker: TemporaryWorker): Promise<void> {
  const leaders = (await worker.jobProcesses()).filter(({ command }) => / -d$/.test(command));
  const first = leaders.sort((a, b) => Number(a.startTicks) - Number(b.startTicks) || a.pid - b.pid)[0];
  process.kill(first!.pid, "SIGKILL");
}

/** Only /proc can tell. */
async function jobProcessesGone(worker: TemporaryWorker): Promise<void> {
  for (const end = performance.now() + 10_000; performance.now() < end; await Bun.sleep(20))
    if ((await worker.jobProcesses()).length === 0) return;
  expect(await worker.jobProcesses()).toEqual([]);
}

async function nothingLeft(worker: TemporaryWorker): Promise<void> {
  for (const end = performance.now() + 10_000; performance.now() < end; await Bun.sleep(20))
    if ((await worker.bornSince()).length === 0) return;
  expect(await worker.bornSince()).toEqual([]);
}

/** Resolves when the hook's process is there; only /proc can tell. */
async function hookRuns(worker: TemporaryWorker): Promise<void> {
  const isHook = ({ command }: { command: string }) => command === "sleep 60";
  for (const end = performance.now() + 10_000; performance.now() < end; await Bun.sleep(20))
    if ((await worker.jobProcesses()).some(isHook)) return;
  throw new Error("The hook was not started");
}

function isUploading(json: unknown): boolean {
  return Bun.deepMatch({ status: { uploading: 1 } }, json as object);
}

/** Result and reason of the only `set_done`. */
function sent(ui: FakeWebUi, job: FakeJob) {
  const calls = ui.requestsOf(job.id).filter(({ path }) => path.endsWith("/set_done"));
  expect(calls).toHaveLength(1);
  return { result: calls[0]!.query.get("result"), reason: calls[0]!.query.get("reason") };
}

function expectUploads(ui: FakeWebUi, job: FakeJob, { logs, assets, lastStatus }: Uploads): void {
  const uploads = ui.requestsOf(job.id).filter(({ path }) => path.endsWith("/artefact"));
  const namesOf = (isWanted: (form: (typeof uploads)[number]["form"]) => boolean) =>
    uploads
      .filter(({ form }) => isWanted(form))
      .map(({ form }) => form!.find(({ name }) => name === "file")!.fileName)
      .sort();
  const isLog = (form: (typeof uploads)[number]["form"]) =>
    fieldOf(form, "asset") === undefined && fieldOf(form, "image") === undefined;
  expect(namesOf(isLog)).toEqual(logNames[logs]);
  expect(namesOf((form) => fieldOf(form, "asset") !== undefined)).toEqual(
    assets ? ["priv.img", "pub.img"] : [],
  );
  const pictures = namesOf((form) => fieldOf(form, "image") === "1" && fieldOf(form, "thumb") === "0");
  expect(pictures).toEqual(lastStatus ? ["boot-1.png", "shell-1.png"] : []);
  if (lastStatus) expect([...job.results.values()].map(({ result }) => result)).toEqual(["ok", "ok"]);
  expect(job.thumbnails.size).toBe(job.pictures.size);
}

/** Protocol 8.1: `uploading` before the first log and the last status, `set_done` after everything. */
function expectOrder(ui: FakeWebUi, job: FakeJob): void {
  const steps = ui.requestsOf(job.id).map(({ path, json, form, query }) => {
    if (path.endsWith("/status")) return isUploading(json) ? "uploading" : "status";
    if (path.endsWith("/artefact")) return fieldOf(form, "image") === undefined ? "log" : "picture";
    return `${path.slice(path.lastIndexOf("/") + 1)}${query.has("dup_type_auto") ? " auto" : ""}`;
  });
  expect(steps.filter((step) => step === "set_done")).toHaveLength(1);
  expect(steps.at(-1)).toBe("set_done");
  expect(steps.filter((step) => step === "uploading")).toHaveLength(1);
  const firstLog = steps.indexOf("log");
  if (firstLog >= 0) expect(steps.indexOf("uploading")).toBeLessThan(firstLog);
  if (steps.includes("picture"))
    expect(steps.lastIndexOf("status")).toBeGreaterThan(steps.indexOf("uploading"));
}

function expectQuitIsLast(ui: FakeWebUi): void {
  expect(ui.messages.at(-1)!.value).toEqual({ type: "quit" });
  expect(ui.journal.entries.at(-1)!.kind).toBe("message");
}
