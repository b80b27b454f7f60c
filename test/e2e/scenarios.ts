// The scenarios: what is posted, what happens meanwhile, what has to come out. Expectations are openQA's documented
// results, not taken from any run.

import type { Depth } from "./compare.ts";
import { jobSettings, waitUntilRuns } from "./jobs.ts";
import type { OpenqaServer } from "./server.ts";
import type { Worker } from "./workers.ts";

export interface Scenario {
  readonly test: string;
  readonly settings?: Readonly<Record<string, string>>;
  readonly depth: Depth;
  readonly result: string;
  /** Allowed reasons; none means that there must be none. More than one: both jobs' may differ. */
  readonly reasons: readonly string[];
  /** Done to each of the two jobs once it was posted. */
  readonly meanwhile?: (server: OpenqaServer, worker: Worker, id: number) => Promise<void>;
}

const long = { LONG_SECONDS: "300", LONG_STEP: "2" };

export const scenarios: Readonly<Record<string, Scenario>> = {
  soft: { test: "soft", depth: "steps", result: "softfailed", reasons: [] },
  fail: { test: "fail", depth: "steps", result: "failed", reasons: [] },
  die: {
    test: "die",
    depth: "steps",
    result: "incomplete",
    reasons: ["tests died: unable to load main.pm, check the log for the cause (e.g. syntax error)"],
  },
  // Which one is a race inside os-autoinst.
  crash: {
    test: "crash",
    depth: "modules",
    result: "incomplete",
    reasons: [
      "backend died: QEMU exited unexpectedly, see log for details",
      "died: terminated prematurely, see log output for details",
    ],
  },
  quick: { test: "quick", depth: "steps", result: "passed", reasons: [] },
  "missing asset": {
    test: "quick",
    settings: { ISO: "no-such-file.iso" },
    depth: "steps",
    result: "incomplete",
    reasons: ["asset failure: Cannot find ISO asset iso/no-such-file.iso!"],
  },
  cancel: {
    test: "long",
    settings: long,
    depth: "modules",
    result: "user_cancelled",
    reasons: [],
    async meanwhile(server, worker, id) {
      await waitUntilRuns(server, id, "idle");
      // Whether any is left afterwards can only be told by a look that sees them now.
      const running = (await worker.jobProcesses()).map(({ commandLine }) => commandLine);
      if (!running.some((line) => line.includes("-qmp"))) throw new Error(`QEMU is not among ${running}`);
      await server.api.post(`jobs/${id}/cancel`);
    },
  },
  timeout: {
    test: "long",
    settings: { ...long, MAX_JOB_TIME: "30" },
    depth: "modules",
    result: "timeout_exceeded",
    reasons: ["timeout: test execution exceeded MAX_JOB_TIME"],
  },
};

/** For a worker that runs nothing else and is not needed afterwards. */
export const stopped: Scenario = {
  test: "long",
  settings: long,
  depth: "modules",
  result: "incomplete",
  reasons: ["quit: worker has been stopped or restarted"],
  async meanwhile(server, worker, id) {
    await waitUntilRuns(server, id, "idle");
    await worker.stop("SIGTERM");
  },
};

export const pass: Scenario = { test: "pass", depth: "steps", result: "passed", reasons: [] };

/** With a cache it is the download that fails. */
export const missingFromCache: Scenario = {
  test: "quick",
  settings: { ISO: "no-such-file.iso" },
  depth: "steps",
  result: "incomplete",
  reasons: [
    "asset failure: Failed to download no-such-file.iso to CACHEDIRECTORY/127.0.0.1/no-such-file.iso",
  ],
};

export function settingsOf(scenario: Scenario, workerClass: string): Record<string, string> {
  return { ...jobSettings(scenario.test, workerClass), ...scenario.settings };
}
