// `register` on the built executable, where jobs of an earlier worker are not at their end yet.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { leave } from "../support/adopted-jobs.ts";
import { letEnd, runningJob, spoolingOptions } from "../support/spooled-jobs.ts";
import { executable, fakeIsotovideo, type TemporaryWorker } from "../support/temporary-worker.ts";
import { openHost, stopHostsAfterEach } from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;

async function register({ folder }: TemporaryWorker): Promise<number> {
  const env = { ...process.env, OPENQA_BASEDIR: folder, OPENQA_CONFIG: join(folder, "etc") };
  const command = [executable, "register", "--instance", "1", "--isotovideo", fakeIsotovideo];
  return await Bun.spawn(command, { env, stdio: ["ignore", "ignore", "ignore"] }).exited;
}

test(
  "is refused while a job runs that has been handed over",
  async () => {
    const host = await openHost(spoolingOptions);
    const job = await runningJob(host);
    await leave(host.worker, "SIGUSR2");
    expect(await register(host.worker)).toBe(3);
    expect(job).toMatchObject({ state: "running", clone: undefined });
  },
  testMs,
);

test(
  "names a job whose end waits for delivery",
  async () => {
    const { ui, worker, workerId } = await openHost(spoolingOptions);
    const job = await runningJob({ ui, worker, workerId });
    await ui.goAway();
    await letEnd(worker);
    await worker.awaitLog(/end of the job waits/);
    await leave(worker, "SIGKILL");
    await ui.comeBack();
    const from = ui.now;
    expect(await register(worker)).toBe(0);
    const { query } = await ui.request(/POST \/api\/v1\/workers/, { from });
    expect(query.getAll("job_id")).toEqual([`${job.id}`]);
    expect(job.clone).toBeUndefined();
  },
  testMs,
);
