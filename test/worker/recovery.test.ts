// What a slot does after something went wrong that it has no part in: it becomes free again, and no job is stuck.
import { expect, test } from "bun:test";
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { plainJob } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  moduleReported,
  openHost,
  openWebUi,
  openWorker,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;
const longJob = { ...plainJob, FAKE_SECONDS: "1.2", FAKE_LINGER: "60" };

test(
  "an end that the web UI does not confirm waits in the spool, and the slot registers again naming the job (field lesson 1)",
  async () => {
    const { ui } = await openHost({ own: { "spool.retry_delay_ms": 60_000 } });
    const job = ui.offer(plainJob);
    ui.fault(/set_done/, { status: 500 }, 6);
    const { index } = await ui.request(/GET \/api\/v1\/jobs\//);
    const again = await ui.request(/POST \/api\/v1\/workers/, { from: index });
    expect(again.query.getAll("job_id")).toEqual([`${job.id}`]);
    await ui.message({ type: "worker_status", status: "free" }, { from: again.index });
    expect(job.result).toBe("passed");
    expect(ui.requestsOf(job.id).filter(({ path }) => path.endsWith("/set_done"))).toHaveLength(7);
    await finishesNextJob(ui);
  },
  testMs,
);

test(
  "a spool that cannot be used is named at the start, and jobs are done without (field lesson 34)",
  async () => {
    const ui = await openWebUi();
    const script =
      'mkdir -p "$OPENQA_BASEDIR/openqa/pool"; touch "$OPENQA_BASEDIR/openqa/pool/.openqa-worker"';
    const launcher = ["sh", "-c", `${script}; exec "$0" "$@"`];
    const worker = await openWorker(ui, { launcher });
    await finishesNextJob(ui, await ui.registered());
    const named = /\[warn\].*Results cannot wait for a web UI that is away in .*\/spool\/1: .*can write to/g;
    expect(worker.log.match(named)).toHaveLength(1);
  },
  testMs,
);

test(
  "a host that refuses the slot does not end it before the other hosts have answered",
  async () => {
    const [refusing, slow] = [await openWebUi(), await openWebUi()];
    refusing.fault(/POST \/api\/v1\/workers/, { status: 403 }, Number.POSITIVE_INFINITY);
    slow.fault(/HEAD/, { msPerByte: 5 });
    await openWorker([refusing, slow]);
    await refusing.request(/POST \/api\/v1\/workers/);
    await finishesNextJob(slow, await slow.registered());
  },
  testMs,
);

test(
  "a job that cannot be duplicated before the time to stop is over is duplicated by the next start",
  async () => {
    const { ui, worker } = await openHost({ own: { "stop.total_ms": 3000 }, global: { RETRIES: 1000 } });
    const job = ui.offer(longJob);
    await moduleReported(ui, job);
    const fault = ui.fault(/duplicate/, { status: 500 }, Number.POSITIVE_INFINITY);
    worker.kill("SIGTERM");
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
    fault.remove();
    await using next = worker.startAnother();
    await next.awaitLog(/Registering/);
    await ui.setDone(job.id);
    expect(job.reason).toBe("quit: worker has been stopped or restarted");
    expect(job.clone).toBeDefined();
  },
  testMs,
);

test(
  "a job whose worker and supervisor were both KILLed is ended and reported by the next start",
  async () => {
    const { ui, worker } = await openHost();
    const job = ui.offer(longJob);
    await moduleReported(ui, job);
    const [supervisor] = await worker.supervisors();
    worker.kill("SIGKILL");
    await worker.exit();
    process.kill(supervisor?.pid ?? 0, "SIGKILL");
    expect((await worker.jobProcesses()).length).toBeGreaterThan(0);
    await using next = worker.startAnother();
    await next.awaitLog(/Registered and connected/);
    await ui.setDone(job.id);
    expect(job.reason).toBe("died: terminated prematurely, see log output for details");
    expect(await worker.jobProcesses()).toEqual([]);
  },
  testMs,
);

test(
  "TERMINATE_AFTER_JOBS_DONE ends the worker after a job, not after an offer that it rejected",
  async () => {
    await using folder = await mkdtempDisposable(join(tmpdir(), "recovery-"));
    const loads = join(folder.path, "loadavg");
    await writeFile(loads, "50 40 30 1/1 1\n");
    const { ui, worker } = await openHost({
      global: { TERMINATE_AFTER_JOBS_DONE: 1, CRITICAL_LOAD_AVG_THRESHOLD: 1 },
      env: { OPENQA_LOAD_AVG_FILE: loads },
    });
    const refused = ui.offer(plainJob);
    await ui.message({ type: "rejected", job_ids: [refused.id] });
    await writeFile(loads, "0 0 0 1/1 1\n");
    await worker.awaitLog(/can take jobs again/);
    const job = ui.offer(plainJob);
    await ui.setDone(job.id);
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
  },
  testMs,
);
