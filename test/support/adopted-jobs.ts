// Workers that are gone while their jobs go on, and their next starts.
import { expect } from "bun:test";
import type { FakeJob } from "./fake-web-ui.ts";
import type { TemporaryWorker } from "./temporary-worker.ts";
import { startAgain, type WorkerHost } from "./worker-host.ts";

export const farewells = ["SIGUSR2", "SIGKILL"] as const;
export type Farewell = (typeof farewells)[number];

/** The worker is gone at once, its jobs are not. */
export async function leave(worker: TemporaryWorker, signal: Farewell): Promise<void> {
  worker.kill(signal);
  expect(await worker.exit(1000)).toEqual(
    signal === "SIGKILL" ? { code: null, signal } : { code: 0, signal: null },
  );
}

/** The next start, which has named these jobs to the web UI. */
export async function adopting(
  { ui, worker }: Pick<WorkerHost, "ui" | "worker">,
  jobs: FakeJob[],
): Promise<TemporaryWorker> {
  const from = ui.now;
  const next = startAgain(worker);
  for (const { id, clone } of jobs) {
    await ui.request(
      ({ path, query }) => path === "/api/v1/workers" && Bun.deepEquals(query.getAll("job_id"), [String(id)]),
      { from },
    );
    await ui.message(({ value }) => Bun.deepMatch({ status: "working", job: { id } }, value), { from });
    expect(clone).toBeUndefined();
  }
  return next;
}
