// Queues of directly chained jobs (protocol 5) on the built executable: what runs, what is skipped and why, and what the
// web UI is told meanwhile.
import { describe, expect } from "bun:test";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { answersTo, endsOf, type JobEnd, uploadedOf } from "../support/delivered.ts";
import type { FakeJob, FakeWebUi } from "../support/fake-web-ui.ts";
import { always, refusal, setDonePost, upgrade } from "../support/fake-web-ui-faults.ts";
import type { Sequence } from "../support/fake-web-ui-queues.ts";
import { gate } from "../support/held-worker.ts";
import { takeStockLock } from "../support/stock-lock.ts";
import { plainJob } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  moduleReported,
  openFolder,
  openHost,
  rejected,
  sideBySide,
} from "../support/worker-host.ts";

const testMs = 120_000;

const failingJob = { ...plainJob, FAKE_MODULES: "boot:ok,shell:fail" };
/** Long enough for what a test says while it runs. */
const lingeringJob = { ...plainJob, FAKE_LINGER: "0.3" };
const longJob = { ...plainJob, FAKE_SECONDS: "0.4", FAKE_LINGER: "60" };
const quitText = "quit: worker has been stopped or restarted";
const own = { "report.interval_ms": 50 };

const skipped = (reason: string | null = null): JobEnd[] => [{ result: "skipped", reason, newbuild: null }];

/** Was never accepted, and nothing but its `set_done` was ever said of it. */
function expectSkipped(ui: FakeWebUi, job: FakeJob | undefined, reason: string | null = null): void {
  expect(endsOf(ui, job!)).toEqual(skipped(reason));
  expect(ui.requestsOf(job!.id)).toHaveLength(1);
  expect(answersTo(ui, job!)).toEqual([]);
}

/** In the order in which they were: places of jobs in the list that was offered. */
function placesAccepted(ui: FakeWebUi, jobs: readonly FakeJob[]): number[] {
  const accepted = ui.messages.filter(({ value }) => value["type"] === "accepted");
  return accepted.map(({ value }) => jobs.findIndex(({ id }) => String(id) === String(value["jobid"])));
}

async function allDone(ui: FakeWebUi, jobs: readonly FakeJob[]): Promise<void> {
  for (const job of jobs) await ui.setDone(job.id);
}

describe("a job runs when the one that it depends on has passed:", () => {
  const bigExample = [0, [1, [2, 3], [4, 5]], 6, 7, [8, 9, [10, 11]], 12];
  const shapes: readonly { sequence: Sequence; bad: readonly number[]; skips: readonly number[] }[] = [
    { sequence: [0, [1, [2]]], bad: [], skips: [] },
    { sequence: [0, [1, [2, 3]]], bad: [1], skips: [2, 3] },
    { sequence: [0, 1, 2], bad: [1], skips: [] },
    { sequence: [0, 1, [2, 3]], bad: [0], skips: [1, 2, 3] },
    { sequence: [0, [1, 2, [3, 4], 5], 6], bad: [3], skips: [4] },
    { sequence: bigExample, bad: [1, 8], skips: [2, 3, 4, 5, 9, 10, 11] },
    { sequence: [0], bad: [], skips: [] },
  ];
  for (const { sequence, bad, skips } of shapes)
    for (const isTold of [true, false])
      sideBySide(
        `${JSON.stringify(sequence)}, failing ${bad.join(", ") || "none"}${isTold ? "" : ", the server silent"}`,
        async () => {
          const { ui } = await openHost();
          ui.state.stopsDescendants = isTold;
          const places = sequence.flat(9) as number[];
          const settings = places.map((place) => (bad.includes(place) ? failingJob : plainJob));
          const jobs = ui.offerQueue(settings, sequence);
          await allDone(ui, jobs);
          const run = places.filter((place) => !skips.includes(place));
          expect(placesAccepted(ui, jobs)).toEqual(run);
          for (const place of skips) expectSkipped(ui, jobs[place]);
          expect(run.map((place) => jobs[place]!.result)).toEqual(
            run.map((place) => (bad.includes(place) ? "failed" : "passed")),
          );
        },
        testMs,
      );

  const ends: readonly (readonly [string, Record<string, string>, "runs" | "is skipped"])[] = [
    ["softfailed", { FAKE_MODULES: "boot:ok:2" }, "runs"],
    ["died", { FAKE_EXIT: "1" }, "is skipped"],
    ["failed to set up", { ISO: "none.iso" }, "is skipped"],
    ["said incomplete itself", { FAKE_BASE_STATE: '{"result":"incomplete"}' }, "is skipped"],
  ];
  for (const [how, settings, what] of ends)
    sideBySide(
      `after one that ${how} it ${what}`,
      async () => {
        const { ui } = await openHost();
        ui.state.stopsDescendants = false;
        const jobs = ui.offerQueue([{ ...plainJob, ...settings }, plainJob], [0, 1]);
        await allDone(ui, jobs);
        if (what === "runs") expect(jobs[1]!.result).toBe("passed");
        else expectSkipped(ui, jobs[1]);
      },
      testMs,
    );

  for (const first of [plainJob, failingJob])
    sideBySide(
      `also when the answer to set_done is lost: the web UI is asked (first ${first.FAKE_MODULES})`,
      async () => {
        const { ui } = await openHost();
        ui.state.stopsDescendants = false;
        ui.fault(setDonePost, "lose answer");
        const jobs = ui.offerQueue([first, plainJob], [0, 1]);
        await allDone(ui, jobs);
        if (first === plainJob) expect(jobs[1]!.result).toBe("passed");
        else expectSkipped(ui, jobs[1]);
        expect(endsOf(ui, jobs[0]!)).toHaveLength(1);
      },
      testMs,
    );
});

for (const [how, last] of Object.entries({ "has passed": plainJob, "was skipped": undefined }))
  sideBySide(
    `a job offered as soon as a queue's last job ${how} is taken (field lesson 2)`,
    async () => {
      const { ui } = await openHost();
      const jobs = ui.offerQueue([last ? plainJob : failingJob, last ?? plainJob], [0, 1]);
      await allDone(ui, jobs);
      const next = ui.offer(plainJob);
      await ui.message(() => answersTo(ui, next).length > 0);
      expect(answersTo(ui, next)).toEqual(["accepted"]);
      await ui.setDone(next.id);
    },
    testMs,
  );

sideBySide(
  "pending ids are in registrations and statuses, with one JOBTOKEN; the slot is never free meanwhile (field lesson 3)",
  async () => {
    const { ui } = await openHost({ own });
    const { index } = await ui.message({ type: "worker_status", status: "free" });
    const leaving = { ...plainJob, FAKE_ULOGS: "u.log" };
    const jobs = ui.offerQueue([{ ...leaving, FAKE_LINGER: "1" }, plainJob, longJob], [0, 1, 2]);
    const [first, second, last] = jobs.map(({ id }) => String(id));
    const isShown = (id: string | undefined) => (value: Readonly<Record<string, unknown>>) =>
      String((value["job"] as { id?: number } | undefined)?.id) === id;
    await ui.message(({ value }) => isShown(first)(value));
    ui.dropWebsockets();
    const named = async () => {
      const { query } = await ui.request(/POST \/api\/v1\/workers/, { from: ui.now });
      return query.getAll("job_id").sort();
    };
    expect(await named()).toEqual([first!, second!, last!]);
    await moduleReported(ui, jobs[2]!);
    await ui.message(({ value }) => isShown(last)(value));
    ui.dropWebsockets();
    expect(await named()).toEqual([last!]);
    ui.cancel(jobs[2]!);
    await allDone(ui, jobs);
    const free = await ui.message({ type: "worker_status", status: "free" }, { from: index + 1 });
    const isMeanwhile = ui.messages.filter((message) => message.index > index && message.index < free.index);
    const statuses = isMeanwhile.map(({ value }) => value).filter(({ type }) => type === "worker_status");
    expect(statuses.map(({ status }) => status)).toEqual(statuses.map(() => "working"));
    const pendingOf = (id: string | undefined) =>
      new Set(statuses.filter(isShown(id)).map((status) => JSON.stringify(status["pending_job_ids"])));
    expect([...pendingOf(first)]).toEqual([JSON.stringify({ [second!]: 1, [last!]: 1 })]);
    expect([...pendingOf(last)]).toEqual([undefined as unknown as string]);
    const tokens = statuses.map(({ job }) => (job as { settings: Record<string, unknown> }).settings);
    expect(new Set(tokens.map(({ JOBTOKEN }) => JOBTOKEN)).size).toBe(1);
    // The pool is emptied between jobs.
    expect(uploadedOf(ui, jobs[1]!).logs).not.toContain("u.log");
  },
  testMs,
);

sideBySide(
  "a pending job that is stopped is skipped in its turn, with a reason by how, and what depends on it",
  async () => {
    const { ui, workerId } = await openHost({ own });
    ui.state.stopsDescendants = false;
    const settings = [lingeringJob, ...Array.from({ length: 6 }, () => plainJob)];
    const jobs = ui.offerQueue(settings, [0, [1, 5], 2, 3, 4, 6]);
    await ui.message({ type: "accepted", jobid: jobs[0]!.id });
    ui.send(workerId, { type: "cancel", jobid: String(jobs[1]!.id) });
    ui.tell(jobs[2]!, "obsolete");
    ui.tell(jobs[3]!, "abort");
    for (const type of ["quit", "cancel"]) ui.tell(jobs[4]!, type);
    await allDone(ui, jobs);
    expect(placesAccepted(ui, jobs)).toEqual([0, 6]);
    expectSkipped(ui, jobs[1]);
    expectSkipped(ui, jobs[5]);
    expectSkipped(ui, jobs[2], "obsolete");
    expectSkipped(ui, jobs[3], "abort");
    expectSkipped(ui, jobs[4], quitText);
    expect([jobs[0]!.result, jobs[6]!.result]).toEqual(["passed", "passed"]);
    await finishesNextJob(ui);
  },
  testMs,
);

describe("amid a queue", () => {
  sideBySide(
    "TERM ends the current job and skips the pending ones",
    async () => {
      const { ui, worker } = await openHost({ own });
      const jobs = ui.offerQueue([longJob, plainJob, plainJob], [0, [1, 2]]);
      await moduleReported(ui, jobs[0]!);
      worker.kill("SIGTERM");
      expect(await worker.exit()).toEqual({ code: 0, signal: null });
      expect(endsOf(ui, jobs[0]!)).toEqual([{ result: "incomplete", reason: quitText, newbuild: null }]);
      for (const job of jobs.slice(1)) expectSkipped(ui, job, quitText);
      expect(ui.messages.at(-1)!.value).toEqual({ type: "quit" });
      expect(await worker.bornSince()).toEqual([]);
    },
    testMs,
  );

  sideBySide(
    "HUP lets all of it be done, takes nothing else, and ends the worker (field lesson 38)",
    async () => {
      const { ui, worker } = await openHost({ own });
      const jobs = ui.offerQueue([lingeringJob, plainJob, plainJob], [0, [1, 2]]);
      await ui.message({ type: "accepted", jobid: jobs[0]!.id });
      for (let times = 0; times < 2; times++) worker.kill("SIGHUP");
      await worker.awaitLog(/Finishing off/);
      const other = ui.offer(plainJob);
      expect((await rejected(ui, other.id)).value["reason"]).toBe("currently stopping");
      expect(await worker.exit()).toEqual({ code: 0, signal: null });
      expect(jobs.map(({ result }) => result)).toEqual(["passed", "passed", "passed"]);
      expect(ui.messages.at(-1)!.value).toEqual({ type: "quit" });
    },
    testMs,
  );

  sideBySide(
    "TERM after HUP skips what is left of it",
    async () => {
      const { ui, worker } = await openHost({ own });
      const jobs = ui.offerQueue([lingeringJob, longJob, plainJob], [0, [1, 2]]);
      await ui.message({ type: "accepted", jobid: jobs[0]!.id });
      worker.kill("SIGHUP");
      await moduleReported(ui, jobs[1]!);
      worker.kill("SIGTERM");
      expect(await worker.exit()).toEqual({ code: 0, signal: null });
      expect(endsOf(ui, jobs[0]!)).toEqual([{ result: null, reason: null, newbuild: null }]);
      expect(endsOf(ui, jobs[1]!)).toEqual([{ result: "incomplete", reason: quitText, newbuild: null }]);
      expectSkipped(ui, jobs[2], quitText);
    },
    testMs,
  );

  sideBySide(
    "a load that is too high stops new jobs only (field lesson 29)",
    async () => {
      const loads = join(await openFolder(), "loadavg");
      await writeFile(loads, "0 0 0 1/1 1\n");
      const { ui, worker } = await openHost({
        global: { CRITICAL_LOAD_AVG_THRESHOLD: 1 },
        env: { OPENQA_LOAD_AVG_FILE: loads },
      });
      const jobs = ui.offerQueue([lingeringJob, plainJob], [0, 1]);
      await ui.message({ type: "accepted", jobid: jobs[0]!.id });
      await writeFile(loads, "50 40 30 1/1 1\n");
      await allDone(ui, jobs);
      expect(jobs.map(({ result }) => result)).toEqual(["passed", "passed"]);
      await worker.awaitLog(/\[warn\].*average load \(50 40 30\)/);
      const other = ui.offer(plainJob);
      expect((await rejected(ui, other.id)).value["reason"]).toStartWith("The average load (50 40 30)");
    },
    testMs,
  );

  sideBySide(
    "a pool that somebody else has locked skips what is left of it (field lesson 29)",
    async () => {
      const { ui, worker } = await openHost({ own });
      ui.state.stopsDescendants = false;
      const { passed, open } = gate();
      ui.fault(setDonePost, { until: passed });
      const jobs = ui.offerQueue([plainJob, plainJob, plainJob], [0, [1, 2]]);
      await ui.setDone(jobs[0]!.id);
      await rename(join(worker.pool(), ".locked"), join(worker.folder, "lost"));
      const other = await takeStockLock(worker.pool());
      expect(other.isLocked).toBe(true);
      open();
      await allDone(ui, jobs);
      for (const job of jobs.slice(1)) {
        expect(job.reason).toMatch(/^worker broken: .*(already )?locked/);
        expectSkipped(ui, job, job.reason);
      }
      const refused = ui.offer(plainJob);
      expect((await rejected(ui, refused.id)).value["reason"]).toContain("locked");
      await other.release();
      await ui.message({ type: "worker_status", status: "free" }, { from: ui.now });
      await finishesNextJob(ui);
    },
    testMs,
  );

  sideBySide(
    "the websocket is gone when a job's turn comes: it is accepted when that is back",
    async () => {
      const { ui } = await openHost({ own });
      const down = ui.fault(upgrade, refusal(502, "Bad Gateway"), always);
      const jobs = ui.offerQueue([lingeringJob, plainJob, plainJob], [0, [1, 2]]);
      await ui.message({ type: "accepted", jobid: jobs[0]!.id });
      ui.dropWebsockets();
      await ui.setDone(jobs[0]!.id);
      const waiting = jobs.slice(1).map(({ id }) => String(id));
      await ui.request(
        ({ path, query }) => path.endsWith("/workers") && Bun.deepEquals(query.getAll("job_id"), waiting),
      );
      down.remove();
      await allDone(ui, jobs);
      expect(jobs.map(({ result }) => result)).toEqual(["passed", "passed", "passed"]);
      expect(placesAccepted(ui, jobs)).toEqual([0, 1, 2]);
    },
    testMs,
  );

  sideBySide(
    "a websocket that stays away costs the rest of it after some tries: none of it runs, none is left assigned",
    async () => {
      const { ui, worker } = await openHost({ own, env: { OPENQA_WORKER_ACCEPT_ATTEMPTS: "3" } });
      const down = ui.fault(upgrade, refusal(502, "Bad Gateway"), always);
      const jobs = ui.offerQueue([lingeringJob, plainJob, plainJob], [0, [1, 2]]);
      await ui.message({ type: "accepted", jobid: jobs[0]!.id });
      ui.dropWebsockets();
      await ui.setDone(jobs[0]!.id);
      await worker.awaitLog(/Job \d+ is not accepted/);
      down.remove();
      await ui.message({ type: "worker_status", status: "free" }, { from: ui.now });
      expect(placesAccepted(ui, jobs)).toEqual([0]);
      expect(ui.requestsOf(jobs[1]!.id)).toEqual([]);
      for (const { state } of jobs.slice(1)) expect(["scheduled", "done"]).toContain(state);
      await finishesNextJob(ui);
    },
    testMs,
  );
});

sideBySide(
  "TERMINATE_AFTER_JOBS_DONE ends the worker after the whole queue",
  async () => {
    const { ui, worker } = await openHost({ global: { TERMINATE_AFTER_JOBS_DONE: 1 } });
    const jobs = ui.offerQueue([plainJob, failingJob, plainJob, plainJob], [0, [1, 2], 3]);
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
    expect(jobs.map(({ result }) => result)).toEqual(["passed", "failed", "skipped", "passed"]);
    expect(ui.messages.at(-1)!.value).toEqual({ type: "quit" });
  },
  testMs,
);
