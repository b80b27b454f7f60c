// Losing the connection at any moment of a job's life, on the built executable: the job goes on, registrations name it,
// nothing is lost, nothing counts twice; only a refusal ends it.
import { describe, expect } from "bun:test";
import { answersTo, endsOf, stepsOf, type Uploaded, uploadedOf } from "../support/delivered.ts";
import type { FakeJob, FakeWebUi, RecordedRequest } from "../support/fake-web-ui.ts";
import {
  always,
  artefactPost,
  jobCalls,
  refusal,
  setDonePost,
  statusPost,
  ulogPost,
  upgrade,
} from "../support/fake-web-ui-faults.ts";
import { gate, holdAvailability, holdSetup, hookRuns } from "../support/held-worker.ts";
import { plainJob, type TemporaryWorkerOptions } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  moduleReported,
  openHost,
  sideBySide,
  type WorkerHost,
} from "../support/worker-host.ts";

const testMs = 120_000;

const bareJob = { ...plainJob, ISO: "" };
const fullJob = {
  ...bareJob,
  FAKE_ULOGS: "u.log",
  FAKE_ASSETS_PUBLIC: "pub.img",
  FAKE_ASSETS_PRIVATE: "priv.img",
};
const runningJob = { ...fullJob, FAKE_SECONDS: "0.4", FAKE_LINGER: "0.6" };
const longJob = { ...fullJob, FAKE_SECONDS: "0.4", FAKE_LINGER: "60" };
const everything: Uploaded = {
  logs: ["autoinst-log.txt", "serial0.txt", "u.log", "vars.json", "video.ogv", "worker-log.txt"],
  assets: ["priv.img", "pub.img"],
  pictures: ["boot-1.png", "shell-1.png"],
};

/** Waits for the web UI instead of leaving the end of the job to the spool. */
const patient = { RETRIES: 1000 };
const own = { "report.interval_ms": 50, "spool.tries_before": 1000 };

function openPatientHost({ global, ...others }: TemporaryWorkerOptions = {}): Promise<WorkerHost> {
  return openHost({ own, global: { ...patient, ...global }, ...others });
}

interface Held extends WorkerHost {
  readonly job: FakeJob;
  release(): Promise<void> | void;
  /** Loses the answer that keeps it there. */
  readonly cut?: () => void;
}

/** Brings a job into a phase and keeps it there. */
const phases: Readonly<Record<string, (stack: AsyncDisposableStack) => Promise<Held>>> = {
  accepting: async (stack) => {
    const held = stack.use(await holdAvailability());
    const host = await openPatientHost(held.options);
    const { open } = held.hold();
    const job = host.ui.offer(fullJob);
    await held.looked;
    return { ...host, job, release: open };
  },
  setup: async () => {
    const { options, release } = await holdSetup();
    const host = await openPatientHost(options);
    const job = host.ui.offer(fullJob);
    await hookRuns(host.worker);
    return { ...host, job, release };
  },
  running: async () => {
    const host = await openPatientHost();
    const job = host.ui.offer(runningJob);
    await moduleReported(host.ui, job, "boot");
    return { ...host, job, release: () => {} };
  },
  ending: (_) => answeredLate(ulogPost),
  "its end just sent": (_) => answeredLate((request) => isMatch(setDonePost, request)),
};

async function answeredLate(matcher: (request: RecordedRequest) => boolean): Promise<Held> {
  const host = await openPatientHost();
  const { passed, open, shut } = gate();
  host.ui.fault(matcher, { until: passed });
  const job = host.ui.offer(fullJob);
  await host.ui.request((request) => matcher(request) && request.answer !== undefined);
  return { ...host, job, release: open, cut: shut };
}

function isMatch(matcher: RegExp, { method, path }: RecordedRequest): boolean {
  return matcher.test(`${method} ${path}`);
}

/** The next registration that is answered names exactly this job; once it is done that does not matter. */
async function expectNamed(ui: FakeWebUi, job: FakeJob, from: number): Promise<void> {
  const { query } = await ui.request(
    ({ method, path, answer }) => method === "POST" && path.endsWith("/workers") && answer !== undefined,
    { from },
  );
  if (job.state !== "done") expect(query.getAll("job_id")).toEqual([String(job.id)]);
}

/** Loses something and gets it back while the job is in its phase or goes on. */
const losses: Readonly<Record<string, (held: Held) => Promise<void>>> = {
  "the websocket": async ({ ui, worker, job, release }) => {
    const down = ui.fault(upgrade, refusal(502, "Bad Gateway"), always);
    const from = ui.now;
    ui.dropWebsockets();
    await worker.awaitLog(/trying again in/);
    await expectNamed(ui, job, from);
    down.remove();
    await ui.message({ type: "worker_status" }, { from });
    await release();
  },
  "REST calls": async ({ ui, release, cut }) => {
    const from = ui.now;
    const down = ui.fault(jobCalls, "reset", always);
    await (cut ?? release)();
    await ui.request(jobCalls, { from });
    down.remove();
  },
  everything: async ({ ui, worker, job, release }) => {
    const from = ui.now;
    await ui.goAway();
    await worker.awaitLog(/\[warn\].*connection error.*trying again in/);
    await ui.comeBack();
    await expectNamed(ui, job, from);
    await ui.message({ type: "worker_status" }, { from });
    await release();
  },
};

/** Every file is there; once, unless answers were lost. */
async function expectAllThere(host: WorkerHost, job: FakeJob, canBeTwice: boolean): Promise<void> {
  const { ui, worker } = host;
  await ui.setDone(job.id);
  const uploaded = uploadedOf(ui, job);
  const once = (names: readonly string[]) => (canBeTwice ? [...new Set(names)] : names);
  const { logs, assets, pictures } = uploaded;
  expect({ logs: once(logs), assets: once(assets), pictures: once(pictures) }).toEqual(everything);
  expect([...job.results.keys()].sort()).toEqual(["boot", "shell"]);
  for (const { result } of job.results.values()) expect(result).toBe("ok");
  expect(answersTo(ui, job)).toEqual(["accepted"]);
  expect(await worker.jobProcesses()).toEqual([]);
  await finishesNextJob(ui, undefined, bareJob);
  expect(endsOf(ui, job)).toEqual([{ result: null, reason: null, newbuild: null }]);
  expect([job.state, job.result]).toEqual(["done", "passed"]);
}

describe("a job goes on without (field lessons 8, 22, 23):", () => {
  for (const [phase, reach] of Object.entries(phases))
    for (const [what, lose] of Object.entries(losses))
      sideBySide(
        `${what}, lost while ${phase}`,
        async () => {
          await using stack = new AsyncDisposableStack();
          const held = await reach(stack);
          await lose(held);
          await expectAllThere(held, held.job, what === "everything" || held.cut !== undefined);
        },
        testMs,
      );
});

sideBySide(
  "a job that could not be accepted in time is dropped without a word and offered again",
  async () => {
    await using stack = new AsyncDisposableStack();
    const { ui, worker, job, release } = await phases["accepting"]!(stack);
    const down = ui.fault(upgrade, refusal(502, "Bad Gateway"), always);
    ui.dropWebsockets();
    await worker.awaitLog(/trying again in/);
    await release();
    await worker.awaitLog(/not accepted/);
    down.remove();
    await ui.message({ type: "worker_status", status: "free" }, { from: ui.now });
    expect(job.state).toBe("scheduled");
    expect(ui.requestsOf(job.id)).toEqual([]);
    ui.offerAgain(job);
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
  },
  testMs,
);

sideBySide(
  "a cancel that came while the websocket was down is obeyed when it is back",
  async () => {
    const { ui, job } = await startRunning();
    ui.dropWebsockets();
    ui.cancel(job);
    await ui.setDone(job.id);
    expect(endsOf(ui, job)).toEqual([{ result: "user_cancelled", reason: null, newbuild: null }]);
    expect(uploadedOf(ui, job)).toEqual(everything);
  },
  testMs,
);

describe("an answer is lost after the request took effect:", () => {
  const isAsset = (request: RecordedRequest) =>
    isMatch(artefactPost, request) && request.body.includes('name="asset"');
  const cases: Readonly<Record<string, RegExp | ((request: RecordedRequest) => boolean)>> = {
    "a status": statusPost,
    "an upload": artefactPost,
    "an asset": isAsset,
    "the end (decision 10)": setDonePost,
  };
  for (const [what, matcher] of Object.entries(cases))
    sideBySide(
      what,
      async () => {
        const host = await openPatientHost();
        host.ui.fault(matcher, "lose answer");
        const job = host.ui.offer(fullJob);
        await expectAllThere(host, job, true);
        const gets = host.ui.requests.filter(
          ({ method, path }) => method === "GET" && path.endsWith(`/${job.id}`),
        );
        expect(gets.filter(({ path }) => path.includes("/jobs/"))).toHaveLength(
          matcher === setDonePost ? 1 : 0,
        );
      },
      testMs,
    );

  for (const action of ["reset", "lose answer"] as const)
    sideBySide(
      `every third request about a job meets "${action}"`,
      async () => {
        const host = await openPatientHost();
        let seen = 0;
        host.ui.fault((request) => isMatch(jobCalls, request) && seen++ % 3 === 2, action, 200);
        const job = host.ui.offer(runningJob);
        await expectAllThere(host, job, action === "lose answer");
      },
      testMs,
    );
});

async function startRunning(): Promise<Held> {
  const host = await openPatientHost();
  const job = host.ui.offer(longJob);
  await moduleReported(host.ui, job);
  return { ...host, job, release: () => {} };
}

describe("a refusal ends the job at once (field lesson 9):", () => {
  const given = "Got status update for job 1 with unexpected worker ID 1 (expected 2, job is running)";
  const refusals = [
    [statusPost, refusal(400, given), `api failure: 400 response: ${given}`],
    [artefactPost, refusal(404, "No worker assigned"), "api failure: 404 response: No worker assigned"],
  ] as const;
  for (const [matcher, action, reason] of refusals)
    sideBySide(
      `${reason}, while it runs`,
      async () => {
        const host = await openPatientHost();
        const { ui, worker } = host;
        host.ui.fault(({ path, method, json }) => {
          const isRunning = !JSON.stringify(json ?? {}).includes('"setup"');
          return matcher.test(`${method} ${path}`) && isRunning;
        }, action);
        const job = ui.offer(longJob);
        await ui.setDone(job.id);
        expect(endsOf(ui, job)).toEqual([{ result: "incomplete", reason, newbuild: null }]);
        expect(uploadedOf(ui, job)).toMatchObject({ logs: [], assets: [] });
        expect(await worker.jobProcesses()).toEqual([]);
        await finishesNextJob(ui);
      },
      testMs,
    );

  sideBySide(
    "the server has ended and cloned the job (field lesson 10): nothing of it is sent any more",
    async () => {
      const { ui, worker, job } = await startRunning();
      job.state = "done";
      job.result = "incomplete";
      await worker.awaitLog(/\[error\].*given the job up/);
      await finishesAfter(ui, worker.log);
      expect(uploadedOf(ui, job)).toMatchObject({ logs: [], assets: [] });
      expect(job.result).toBe("incomplete");
      expect(await worker.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  sideBySide(
    "also at the end: uploads that find no worker assigned are not repeated",
    async () => {
      const { ui } = await openPatientHost();
      ui.fault(ulogPost, refusal(404, "No worker assigned"), always);
      const job = ui.offer(fullJob);
      await ui.setDone(job.id);
      expect(endsOf(ui, job)).toEqual([{ result: "incomplete", reason: "api failure", newbuild: null }]);
      const ulogs = ui.requestsOf(job.id).filter(ulogPost);
      expect(ulogs).toHaveLength(1);
      await finishesNextJob(ui);
    },
    testMs,
  );

  sideBySide(
    "its end is refused: that is taken, and the slot is free (field lesson 10)",
    async () => {
      const { ui } = await openPatientHost();
      const text = "Refusing to set result because job is currently assigned to worker 2).";
      ui.fault(setDonePost, refusal(400, text));
      const job = ui.offer(fullJob);
      await ui.request(setDonePost);
      await ui.message({ type: "worker_status", status: "free" }, { from: ui.now });
      await finishesNextJob(ui);
      expect(ui.requestsOf(job.id).filter((request) => isMatch(setDonePost, request))).toHaveLength(1);
    },
    testMs,
  );

  sideBySide(
    '"result":0 alone is none',
    async () => {
      const host = await openPatientHost();
      host.ui.fault(statusPost, { status: 200, body: '{"result":0}' }, 3);
      const job = host.ui.offer(runningJob);
      await host.ui.setDone(job.id);
      expect(job.result).toBe("passed");
      expect(stepsOf(host.ui, job)).toContain("status");
    },
    testMs,
  );
});

/** The slot takes a job although the one before has not been ended by a `set_done` of its own. */
async function finishesAfter(ui: FakeWebUi, log: string): Promise<void> {
  await ui.message({ type: "worker_status", status: "free" }, { from: ui.now });
  expect(log).toContain("given the job up");
  await finishesNextJob(ui);
}
