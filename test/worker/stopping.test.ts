// Every way to stop a job in every state of it, on the built executable: the pairs are generated, what has to come of
// each is written down here.
import { describe, expect } from "bun:test";
import {
  answersTo,
  endsOf,
  isUploading,
  type JobEnd,
  stepsOf,
  type Uploaded,
  uploadedOf,
} from "../support/delivered.ts";
import type { FakeJob, FakeWebUi, RecordedRequest } from "../support/fake-web-ui.ts";
import { setDonePost, ulogPost } from "../support/fake-web-ui-faults.ts";
import { gate, holdAvailability, holdSetup, hookRuns } from "../support/held-worker.ts";
import { plainJob, type TemporaryWorker } from "../support/temporary-worker.ts";
import { moduleReported, openHost, sideBySide, type WorkerHost } from "../support/worker-host.ts";

const testMs = 120_000;

const states = ["accepting", "setup", "running", "ending", "between jobs"] as const;
type State = (typeof states)[number];
const events = [
  "cancel",
  "obsolete",
  "abort",
  "quit",
  "cancel, then cancel",
  "abort, then cancel",
  "cancel, then quit",
  "TERM",
  "HUP",
  "cancel, then TERM",
  "TERM, then cancel",
  "cancel, then HUP",
  "HUP, then cancel",
] as const;
type Event = (typeof events)[number];

interface Outcome extends Uploaded {
  /** Undefined: the web UI hears nothing of the job any more. */
  readonly end: JobEnd | undefined;
  readonly isDuplicated: boolean;
  /** How the job after it in the queue ends. */
  readonly next?: JobEnd;
}

const setupLogs = ["autoinst-log.txt", "worker-log.txt"];
const all = {
  logs: ["autoinst-log.txt", "serial0.txt", "u.log", "vars.json", "video.ogv", "worker-log.txt"],
  assets: ["priv.img", "pub.img"],
  pictures: ["boot-1.png", "shell-1.png"],
};
const none = { logs: [], assets: [], pictures: [] };

const sent = (result: string | null, reason: string | null = null, newbuild: string | null = null) => ({
  end: { result, reason, newbuild },
  isDuplicated: false,
});
const quitText = "quit: worker has been stopped or restarted";
const termText = "isotovideo received signal TERM";
const passed = sent(null);
const skipped = sent("skipped");

const untouched: Outcome = { ...passed, ...all };
const nothing: Outcome = { end: undefined, isDuplicated: false, ...none };
const running = {
  cancel: { ...sent("user_cancelled"), ...all },
  obsolete: { ...sent("incomplete", `isotovideo obsolete: ${termText}`, "1"), ...all, assets: [] },
  abort: { ...sent("incomplete", `isotovideo abort: ${termText}`), ...none, pictures: all.pictures },
  quit: { ...sent("incomplete", quitText), isDuplicated: true, ...none, pictures: all.pictures },
};
const accepting = {
  cancel: { ...skipped, ...none },
  obsolete: { ...sent("skipped", "obsolete"), ...none },
  abort: { ...sent("skipped", "abort"), ...none },
};
const setup = {
  cancel: { ...sent("user_cancelled"), ...none, logs: setupLogs },
  obsolete: { ...sent("incomplete", "obsolete", "1"), ...none, logs: setupLogs },
  abort: { ...sent("incomplete", "abort"), ...none },
  quit: { ...sent("incomplete", quitText), isDuplicated: true, ...none },
};
const pending = {
  cancel: { ...skipped, ...none, next: passed.end },
  obsolete: { ...sent("skipped", "obsolete"), ...none, next: passed.end },
  abort: { ...sent("skipped", "abort"), ...none, next: passed.end },
  quit: { ...sent("skipped", quitText), ...none, next: passed.end },
  term: { ...sent("skipped", quitText), ...none, next: sent("skipped", quitText).end },
};

/** What comes of a job that this happens to in that state (protocol 5, 8.2, 8.3). */
const expected: Readonly<Record<State, Readonly<Record<Event, Outcome>>>> = {
  // Not told the end of a job that it has stopped, the server would keep the slot for it.
  accepting: {
    ...accepting,
    quit: nothing,
    "cancel, then cancel": accepting.cancel,
    "abort, then cancel": accepting.abort,
    "cancel, then quit": accepting.cancel,
    TERM: nothing,
    HUP: untouched,
    "cancel, then TERM": accepting.cancel,
    "TERM, then cancel": nothing,
    "cancel, then HUP": accepting.cancel,
    "HUP, then cancel": accepting.cancel,
  },
  setup: {
    ...setup,
    "cancel, then cancel": setup.cancel,
    "abort, then cancel": setup.abort,
    "cancel, then quit": setup.cancel,
    TERM: setup.quit,
    HUP: untouched,
    "cancel, then TERM": setup.cancel,
    "TERM, then cancel": setup.quit,
    "cancel, then HUP": setup.cancel,
    "HUP, then cancel": setup.cancel,
  },
  running: {
    ...running,
    "cancel, then cancel": running.cancel,
    "abort, then cancel": running.abort,
    "cancel, then quit": running.cancel,
    TERM: running.quit,
    HUP: untouched,
    "cancel, then TERM": running.cancel,
    "TERM, then cancel": running.quit,
    "cancel, then HUP": running.cancel,
    "HUP, then cancel": running.cancel,
  },
  // It has ended by itself and uploads: whatever comes now is too late.
  ending: {
    cancel: untouched,
    obsolete: untouched,
    abort: untouched,
    quit: untouched,
    "cancel, then cancel": untouched,
    "abort, then cancel": untouched,
    "cancel, then quit": untouched,
    TERM: untouched,
    HUP: untouched,
    "cancel, then TERM": untouched,
    "TERM, then cancel": untouched,
    "cancel, then HUP": untouched,
    "HUP, then cancel": untouched,
  },
  // The job is the second of three; the first has just ended.
  "between jobs": {
    cancel: pending.cancel,
    obsolete: pending.obsolete,
    abort: pending.abort,
    quit: pending.quit,
    "cancel, then cancel": pending.cancel,
    "abort, then cancel": pending.abort,
    "cancel, then quit": pending.cancel,
    TERM: pending.term,
    HUP: { ...untouched, next: passed.end },
    "cancel, then TERM": pending.term,
    "TERM, then cancel": pending.term,
    "cancel, then HUP": pending.cancel,
    "HUP, then cancel": pending.cancel,
  },
};

const endsWorker = (event: Event) => /TERM|HUP/.test(event);

const uploadingPost = ({ json }: RecordedRequest) => isUploading(json);
const bareJob = { ...plainJob, ISO: "", FAKE_ULOGS: "u.log" };
const fullJob = { ...bareJob, FAKE_ASSETS_PUBLIC: "pub.img", FAKE_ASSETS_PRIVATE: "priv.img" };
const own = { "report.interval_ms": 50 };

interface Held extends WorkerHost {
  readonly job: FakeJob;
  readonly next?: FakeJob;
  /** Lets go what keeps the job in its state. */
  release(): Promise<void> | void;
  /** Lets go what would keep the next one there. */
  readonly tidy?: () => Promise<void>;
}

/** Brings a job into a state and keeps it there. `goesOn`: it will not be stopped. */
const reach: Readonly<Record<State, (stack: AsyncDisposableStack, goesOn: boolean) => Promise<Held>>> = {
  accepting: async (stack) => {
    const held = stack.use(await holdAvailability());
    const host = await openHost({ own, ...held.options });
    const { open } = held.hold();
    const job = host.ui.offer(fullJob);
    await held.looked;
    return { ...host, job, release: open };
  },
  setup: async (_, goesOn) => {
    const held = await holdSetup();
    const host = await openHost({ own, ...held.options });
    const job = host.ui.offer(fullJob);
    await hookRuns(host.worker);
    const { passed, open } = gate();
    host.ui.fault(uploadingPost, { until: passed });
    // Whatever stops the job ends the hook.
    const release = async () => {
      if (goesOn) await held.release();
      open();
    };
    return { ...host, job, release, tidy: held.release };
  },
  running: async (_, goesOn) => {
    const host = await openHost({ own });
    const times = { FAKE_SECONDS: "0.4", FAKE_LINGER: goesOn ? "0.7" : "60" };
    const job = host.ui.offer({ ...fullJob, ...times });
    await moduleReported(host.ui, job);
    const { passed, open } = gate();
    host.ui.fault(uploadingPost, { until: passed });
    return { ...host, job, release: open };
  },
  ending: async () => {
    const host = await openHost({ own });
    const { passed, open } = gate();
    host.ui.fault(ulogPost, { until: passed });
    const job = host.ui.offer(fullJob);
    await host.ui.request(ulogPost);
    return { ...host, job, release: open };
  },
  "between jobs": async () => {
    const host = await openHost({ own });
    const { passed, open } = gate();
    host.ui.fault(setDonePost, { until: passed });
    const [first, job, next] = host.ui.offerQueue([bareJob, fullJob, bareJob], [0, 1, 2]);
    await host.ui.setDone(first!.id);
    return { ...host, job: job!, next: next!, release: open };
  },
};

/** Resolves when the worker has dealt with everything that it was sent before. */
async function heard(ui: FakeWebUi, worker: TemporaryWorker, workerId: number): Promise<void> {
  const type = `marker-${ui.now}-${worker.log.length}`;
  ui.send(workerId, { type });
  await worker.awaitLog(new RegExp(type));
}

async function say(word: string, { ui, worker, workerId, job }: Held, isHeard: boolean): Promise<void> {
  const from = worker.log.length;
  if (word === "TERM") {
    worker.kill("SIGTERM");
    await worker.awaitLog(/Stopping: /, { from });
  } else if (word === "HUP") {
    worker.kill("SIGHUP");
    await worker.awaitLog(/Finishing off/, { from });
  } else {
    if (word === "cancel") ui.cancel(job);
    else ui.tell(job, word);
    if (isHeard) await heard(ui, worker, workerId);
  }
}

describe.each(states)("a job that is stopped: %s", (state) => {
  for (const event of events)
    sideBySide(
      event,
      async () => {
        const outcome = expected[state][event];
        await using stack = new AsyncDisposableStack();
        const held = await reach[state](stack, outcome === untouched);
        const words = event.split(", then ");
        for (const [index, word] of words.entries()) {
          // A slot that was still accepting ends at once.
          const isTooLate = index > 0 && words[0] === "TERM" && state === "accepting";
          await say(word, held, !isTooLate);
        }
        await held.release();
        await expectOutcome(held, outcome, event);
      },
      testMs,
    );
});

async function expectOutcome(held: Held, outcome: Outcome, event: Event): Promise<void> {
  const { ui, worker, job, next } = held;
  if (outcome.end) await ui.setDone(job.id);
  if (next) await ui.setDone(next.id);
  if (endsWorker(event)) {
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
    expect(await worker.bornSince()).toEqual([]);
    expect(ui.messages.at(-1)!.value).toEqual({ type: "quit" });
  } else {
    expect(await worker.jobProcesses()).toEqual([]);
    await held.tidy?.();
    await finishesAnother(ui);
  }
  expect(endsOf(ui, job)).toEqual(outcome.end ? [outcome.end] : []);
  const { logs, assets, pictures } = outcome;
  expect(uploadedOf(ui, job)).toEqual({ logs, assets, pictures });
  const steps = stepsOf(ui, job);
  expect(steps.filter((step) => step === "duplicate")).toHaveLength(outcome.isDuplicated ? 1 : 0);
  if (outcome.end === undefined) expect(ui.requestsOf(job.id)).toEqual([]);
  else if (outcome.end.result === "skipped") expect(ui.requestsOf(job.id)).toHaveLength(1);
  else expect(steps.at(-1)).toBe("set_done");
  const isTaken = outcome.end !== undefined && outcome.end.result !== "skipped";
  expect(answersTo(ui, job)).toEqual(isTaken ? ["accepted"] : []);
  if (next) expect(endsOf(ui, next)).toEqual(outcome.next ? [outcome.next] : []);
}

/** Offered as the scheduler does it: again when the slot is not free yet. */
async function finishesAnother(ui: FakeWebUi): Promise<void> {
  const another = ui.offer(bareJob);
  for (let tries = 0; tries < 50 && !answersTo(ui, another).includes("accepted"); tries++) {
    const from = ui.now;
    if (another.state === "scheduled") ui.offerAgain(another);
    await ui.message(() => answersTo(ui, another).length > tries, { from: tries === 0 ? 0 : from });
  }
  await ui.setDone(another.id);
  expect(another.result).toBe("passed");
}

sideBySide(
  "a cancel and a TERM at once: one of them counts, the job ends once, nothing is left over",
  async () => {
    const { ui, worker, job, release } = await reach.running(new AsyncDisposableStack(), false);
    ui.cancel(job);
    worker.kill("SIGTERM");
    await release();
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
    const ends = endsOf(ui, job);
    expect(ends).toHaveLength(1);
    expect([running.cancel.end, running.quit.end]).toContainEqual(ends[0]!);
    expect(await worker.bornSince()).toEqual([]);
  },
  testMs,
);

sideBySide(
  "a stop for the job whose end is just being told changes nothing, for it and for the next one",
  async () => {
    const held = await reach["between jobs"](new AsyncDisposableStack(), false);
    const { ui, worker, workerId, job, next } = held;
    const first = ui.state.jobs.get(job.id - 1)!;
    for (const type of ["cancel", "abort", "quit"]) ui.send(workerId, { type, jobid: first.id });
    await heard(ui, worker, workerId);
    await held.release();
    await ui.setDone(next!.id);
    expect([first, job, next!].map(({ result }) => result)).toEqual(["passed", "passed", "passed"]);
    expect(endsOf(ui, first)).toEqual([passed.end]);
  },
  testMs,
);
