// When the web UI has taken the end of a job, as nginx's log has it: asking for the job's state would keep the web UI busy
// that is being measured.
import { jobState } from "../e2e/jobs.ts";
import type { OpenqaServer } from "../e2e/server.ts";
import { until } from "../e2e/until.ts";
import { requestsOf } from "./timing.ts";

/** Resolves with the time at which `set_done` was answered, in milliseconds since the epoch. */
export function whenDone(server: OpenqaServer, id: number, limitMs: number): Promise<number> {
  return until(
    `set_done of job ${id} is answered`,
    limitMs,
    async () => (await requestsOf(server, id)).find(({ isLast }) => isLast)?.to,
  );
}

/** Throws unless a job has passed: its figures would mean nothing. */
export async function expectPassed(server: OpenqaServer, id: number): Promise<void> {
  const { result, reason } = await jobState(server, id);
  if (result !== "passed") throw new Error(`job ${id} is ${result}, not passed: ${reason}`);
}
