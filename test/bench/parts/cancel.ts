// A running job with its VM is cancelled from the web UI: until no process of the job is left, and until the web UI has
// its end.
import { installDistribution, jobSettings, jobState, postJob, waitUntilRuns } from "../../e2e/jobs.ts";
import type { Process } from "../../e2e/processes.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { untilQemuRuns, type Worker } from "../../e2e/workers.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { whenDone } from "../job-answer.ts";
import { isAlive } from "../process-figures.ts";
import { jobProcesses } from "../side-use.ts";
import { each, inTurn, type SideName, withBothWorkers } from "../two-sides.ts";
import { withServer } from "../with-server.ts";

/** Longer than it takes to cancel the job. */
const jobSeconds = "300";
const limitMs = 90_000;
const lookMs = 10;

export const part: BenchPart = {
  name: "cancel",
  title: "A running job with QEMU is cancelled",
  minutes: 3,
  measure: (options) => withServer((server) => measure(server, options)),
};

async function measure(server: OpenqaServer, { rounds, note }: BenchOptions): Promise<Measurement[]> {
  await installDistribution(server);
  const found = await withBothWorkers(
    server,
    async () => ({}),
    (workers) =>
      inTurn(rounds, (side, round) => {
        note(`job of ${side}, round ${round} of ${rounds}`);
        return cancelJob(server, workers[side], side);
      }),
  );
  return [
    {
      name: "no process is left",
      unit: "s",
      sides: each(found, ({ goneSeconds }) => goneSeconds),
      remark:
        "our supervisor included, which lets isotovideo finish its video; the stock worker ends all at once. " +
        "Not included: our picture process, which serves all slots and stays for a while.",
    },
    { name: "the web UI has its end", unit: "s", sides: each(found, ({ doneSeconds }) => doneSeconds) },
  ];
}

async function cancelJob(
  server: OpenqaServer,
  worker: Worker,
  side: SideName,
): Promise<{ readonly goneSeconds: number; readonly doneSeconds: number }> {
  const settings = { ...jobSettings("long", side), LONG_SECONDS: jobSeconds, LONG_STEP: "2" };
  const id = await postJob(server, settings);
  await untilQemuRuns(worker);
  await waitUntilRuns(server, id, "idle");
  const running = await jobProcesses(worker);
  const cancelledMs = Date.now();
  // As the button on the job's page.
  await server.api.post(`jobs/${id}/cancel`);
  const goneMs = await whenGone(worker, running);
  const doneMs = await whenDone(server, id, limitMs);
  const { result } = await jobState(server, id);
  if (result !== "user_cancelled") throw new Error(`job ${id} of ${side} is ${result}, not user_cancelled`);
  return { goneSeconds: (goneMs - cancelledMs) / 1000, doneSeconds: (doneMs - cancelledMs) / 1000 };
}

/** Waits until these processes, and what they may have left, have ended. Resolves with the time. */
async function whenGone(worker: Worker, running: readonly Process[]): Promise<number> {
  const limit = Date.now() + limitMs;
  let left = running;
  for (;;) {
    // Cheaper than a look at all processes.
    while ((await Promise.all(left.map(isAlive))).includes(true)) {
      if (Date.now() > limit) throw new Error(`left: ${left.map((one) => one.commandLine).join("; ")}`);
      await Bun.sleep(lookMs);
    }
    const goneMs = Date.now();
    left = await jobProcesses(worker);
    if (left.length === 0) return goneMs;
  }
}
