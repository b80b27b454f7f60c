// A worker with several web UI hosts, on the built executable: one job at a time over all of them, and what one host
// does wrong never disturbs another.
import { describe, expect, test } from "bun:test";
import { endsOf, stepsOf } from "../support/delivered.ts";
import type { FakeJob, FakeWebUi, FaultAction } from "../support/fake-web-ui.ts";
import {
  always,
  refusal,
  registration,
  setDonePost,
  timestampMismatch,
  tooManyWorkers,
  upgrade,
} from "../support/fake-web-ui-faults.ts";
import { gate } from "../support/held-worker.ts";
import { plainJob, type TemporaryWorker, type TemporaryWorkerOptions } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  moduleReported,
  openWebUi,
  openWorker,
  rejected,
  sideBySide,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 120_000;
const own = { "report.interval_ms": 50 };
const longJob = { ...plainJob, FAKE_SECONDS: "0.4", FAKE_LINGER: "60" };

interface TwoHosts {
  readonly mine: FakeWebUi;
  readonly other: FakeWebUi;
  readonly worker: TemporaryWorker;
}

/** Two web UIs at which the worker has registered. */
async function openTwo(options: TemporaryWorkerOptions = {}): Promise<TwoHosts> {
  const [mine, other] = [await openWebUi(), await openWebUi()];
  const worker = await openWorker([mine, other], { own, ...options });
  await Promise.all([mine.registered(), other.registered()]);
  return { mine, other, worker };
}

const posts = (ui: FakeWebUi) =>
  ui.requests.filter(({ method, path }) => method === "POST" && path.endsWith("/workers"));
const free = { type: "worker_status", status: "free" };

async function runningJob(ui: FakeWebUi): Promise<FakeJob> {
  const job = ui.offer(longJob);
  await moduleReported(ui, job);
  return job;
}

describe("one job at a time over all hosts:", () => {
  sideBySide(
    "while one runs every host hears `working` with it, and the offers of the others are rejected (field lesson 2)",
    async () => {
      const { mine, other } = await openTwo();
      const job = await runningJob(mine);
      const from = other.now;
      const told = await other.message(({ value: { status } }) => status === "working", { from });
      expect(told.value).toMatchObject({ current_webui_host: mine.url, job: { id: job.id } });
      await mine.message(({ value: { status } }) => status === "working");
      const reason = `already busy with a job from ${mine.url}`;
      const single = other.offer(plainJob);
      const queue = other.offerQueue([plainJob, plainJob], [0, 1]);
      for (const { id } of [single, ...queue])
        expect((await rejected(other, id)).value["reason"]).toBe(reason);
      mine.cancel(job);
      await mine.setDone(job.id);
      await other.message(free, { from: other.now });
      await finishesNextJob(other);
      expect(endsOf(mine, job)).toHaveLength(1);
    },
    testMs,
  );

  sideBySide(
    "between the jobs of a queue, too",
    async () => {
      const { mine, other } = await openTwo();
      const { passed, open } = gate();
      mine.fault(setDonePost, { until: passed });
      const jobs = mine.offerQueue([plainJob, plainJob], [0, 1]);
      await mine.setDone(jobs[0]!.id);
      const refused = other.offer(plainJob);
      const { value } = await rejected(other, refused.id);
      expect(value["reason"]).toBe(`already busy with a job from ${mine.url}`);
      open();
      await mine.setDone(jobs[1]!.id);
      expect(jobs.map(({ result }) => result)).toEqual(["passed", "passed"]);
      await finishesNextJob(other);
    },
    testMs,
  );

  sideBySide(
    "two offers at the same moment: one is accepted, the other rejected and done later",
    async () => {
      const { mine, other } = await openTwo();
      const jobs = [mine.offer(plainJob), other.offer(plainJob)] as const;
      const refused = await Promise.race([
        rejected(mine, jobs[0].id).then(() => ({ ui: mine, job: jobs[0] })),
        rejected(other, jobs[1].id).then(() => ({ ui: other, job: jobs[1] })),
      ]);
      const taken = refused.ui === mine ? { ui: other, job: jobs[1] } : { ui: mine, job: jobs[0] };
      await taken.ui.setDone(taken.job.id);
      expect(taken.job.result).toBe("passed");
      await finishesNextJob(refused.ui);
    },
    testMs,
  );

  sideBySide(
    "a registration names only jobs of that host; a host without one may send commands for its id in vain",
    async () => {
      const { mine, other, worker } = await openTwo();
      const job = await runningJob(mine);
      other.send(await other.registered(), { type: "cancel", jobid: job.id });
      await worker.awaitLog(new RegExp(`\\[warn\\].*cancel.*job ${job.id}`));
      for (const ui of [mine, other]) {
        const from = ui.now;
        ui.dropWebsockets();
        const { query } = await ui.request(registration, { from });
        expect(query.getAll("job_id")).toEqual(ui === mine ? [String(job.id)] : []);
      }
      expect(stepsOf(mine, job)).not.toContain("uploading");
    },
    testMs,
  );

  sideBySide(
    "TERM: all hosts hear `quit`",
    async () => {
      const { mine, other, worker } = await openTwo();
      const job = await runningJob(mine);
      worker.kill("SIGTERM");
      expect(await worker.exit()).toEqual({ code: 0, signal: null });
      for (const ui of [mine, other]) expect(ui.messages.at(-1)!.value).toEqual({ type: "quit" });
      expect(endsOf(mine, job)).toHaveLength(1);
    },
    testMs,
  );
});

describe("a host does not disturb the other one:", () => {
  interface Trouble {
    readonly title: string;
    readonly matcher: RegExp;
    readonly action: FaultAction;
    /** Whether it is tried again until it takes the slot. */
    readonly isRetried: boolean;
    readonly log?: RegExp;
  }
  const troubles: readonly Trouble[] = [
    {
      title: "one that refuses the slot is never asked again",
      matcher: registration,
      action: refusal(403, "Not authorized"),
      isRetried: false,
      log: /\[error\].*Failed to register at .* 403 response: Not authorized/,
    },
    {
      title: "one that does not tell a worker id is never asked again",
      matcher: registration,
      action: refusal(200, "what?"),
      isRetried: false,
      log: /\[error\].*did not return a worker ID/,
    },
    {
      title: "one whose clock differs is asked again (field lesson 35)",
      matcher: registration,
      action: timestampMismatch,
      isRetried: true,
      log: /\[warn\].*timestamp mismatch/,
    },
    {
      title: "one with an internal error is asked again (field lesson 22)",
      matcher: registration,
      action: refusal(500, "Failed"),
      isRetried: true,
      log: /\[warn\].*500 response: Failed/,
    },
    {
      title: "one that resets connections is asked again",
      matcher: registration,
      action: "reset",
      isRetried: true,
    },
    {
      title: "one that answers very slowly is waited for (field lesson 12)",
      matcher: registration,
      action: "hang",
      isRetried: true,
    },
    {
      title: "one without websocket server is asked again",
      matcher: upgrade,
      action: refusal(502, "Bad Gateway"),
      isRetried: true,
      log: /\[warn\].*code 502/,
    },
    {
      title: "one with too many workers is asked again when it said so (field lesson 37)",
      matcher: upgrade,
      action: tooManyWorkers(1),
      isRetried: true,
      log: /\[warn\].*code 429.*again in 1\.\d seconds/,
    },
  ];
  for (const { title, matcher, action, isRetried, log } of troubles)
    sideBySide(
      title,
      async () => {
        const [fine, bad] = [await openWebUi(), await openWebUi()];
        const fault = bad.fault(matcher, action, always);
        const worker = await openWorker([bad, fine], { own: { ...own, "timeouts.answer_ms": 500 } });
        await bad.request(matcher);
        await finishesNextJob(fine, await fine.registered());
        if (log) await worker.awaitLog(log);
        if (isRetried) await bad.request(matcher, { from: bad.now });
        fault.remove();
        if (isRetried) await finishesNextJob(bad, await bad.registered());
        await finishesNextJob(fine);
        if (!isRetried) expect(posts(bad)).toHaveLength(1);
        expect(posts(fine)).toHaveLength(1);
      },
      testMs,
    );

  sideBySide(
    "one that is down from the start is served as soon as it is there",
    async () => {
      const [fine, down] = [await openWebUi(), await openWebUi()];
      await down.goAway();
      const worker = await openWorker([down, fine], { own });
      await finishesNextJob(fine, await fine.registered());
      await worker.awaitLog(/\[warn\].*connection error.*trying again/);
      await down.comeBack();
      await finishesNextJob(down, await down.registered());
      await finishesNextJob(fine);
    },
    testMs,
  );

  sideBySide(
    "one that goes down while the other's job runs",
    async () => {
      const { mine, other, worker } = await openTwo();
      const job = await runningJob(mine);
      await other.goAway();
      await worker.awaitLog(/\[warn\].*trying again/);
      mine.cancel(job);
      await mine.setDone(job.id);
      await other.comeBack();
      await other.message(free, { from: other.now });
      await finishesNextJob(other);
      expect(posts(mine)).toHaveLength(1);
    },
    testMs,
  );

  sideBySide(
    "one that redirects is served where it redirects to, under the name in HOST (field lesson 36)",
    async () => {
      const [fine, target, moved] = [await openWebUi(), await openWebUi(), await openWebUi()];
      const headers = { location: `${target.url}/api/v1/workers?limit=0` };
      moved.fault(/^HEAD/, { status: 301, headers });
      const worker = await openWorker([moved, fine], { own });
      const workerId = await target.registered();
      await worker.awaitLog(new RegExp(`redirects from ${moved.url} to ${target.url}`));
      const job = target.offer(longJob, workerId);
      await moduleReported(target, job);
      const isWorking = ({ value }: { value: Readonly<Record<string, unknown>> }) =>
        value["status"] === "working";
      expect((await fine.message(isWorking)).value["current_webui_host"]).toBe(moved.url);
      target.cancel(job);
      await target.setDone(job.id);
      await fine.message(free, { from: fine.now });
      expect(moved.requests.map(({ method }) => method)).toEqual(["HEAD"]);
    },
    testMs,
  );
});

describe("no host takes the slot any more:", () => {
  const stopping = /\[error\].*Stopping because registration with all configured web UI hosts failed/;

  sideBySide(
    "when idle the worker ends",
    async () => {
      const { mine, other, worker } = await openTwo();
      for (const ui of [mine, other]) {
        ui.fault(registration, refusal(403, "api key expired"), always);
        ui.dropWebsockets();
      }
      expect(await worker.exit()).toEqual({ code: 0, signal: null });
      expect(worker.log).toMatch(stopping);
    },
    testMs,
  );

  sideBySide(
    "amid a job it ends after that, which is reported to its end (field lesson 8)",
    async () => {
      const { mine, other, worker } = await openTwo();
      const job = mine.offer({ ...longJob, FAKE_LINGER: "1" });
      await moduleReported(mine, job);
      for (const ui of [mine, other]) {
        ui.fault(registration, refusal(403, "api key expired"), always);
        ui.dropWebsockets();
      }
      await worker.awaitLog(stopping);
      expect(endsOf(mine, job)).toEqual([]);
      expect(await worker.exit()).toEqual({ code: 0, signal: null });
      expect(job.result).toBe("passed");
      expect(await worker.bornSince()).toEqual([]);
    },
    testMs,
  );
});

sideBySide(
  "a host that stands twice in HOST has one websocket (field lesson 11)",
  async () => {
    const ui = await openWebUi();
    await openWorker(ui, { global: { HOST: `${ui.url} ${ui.url}` } });
    await ui.registered();
    await finishesNextJob(ui);
    expect(posts(ui)).toHaveLength(1);
    expect(ui.requests.filter(({ path }) => path.includes("/ws/"))).toHaveLength(1);
  },
  testMs,
);

test(
  "two spellings of one web UI do not fight for the websocket (field lesson 11)",
  async () => {
    const ui = await openWebUi();
    await openWorker(ui, { global: { HOST: `${ui.url} ${ui.host}` } });
    const { index } = await ui.request(registration);
    const second = ui.request(registration, { from: index + 1, timeoutMs: 500 });
    expect(await second.then(({ path }) => path).catch(() => "none")).toBe("none");
  },
  testMs,
);
