// A web UI that is away at the end of a job gets everything when it is back, on the built executable: what it holds then
// equals what it holds of the same job undisturbed, and the slot works for others meanwhile.
import { describe, expect } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isUploading } from "../support/delivered.ts";
import { type FakeJob, type FakeWebUi, fieldOf } from "../support/fake-web-ui.ts";
import { expectOneEnd, expectSameHeld } from "../support/job-ends.ts";
import {
  endlessJob,
  entriesIn,
  eventually,
  letEnd,
  runningJob,
  spooledJob,
  spoolFolder,
  spoolingOptions,
  waits,
  worksOn,
} from "../support/spooled-jobs.ts";
import { plainJob } from "../support/temporary-worker.ts";
import {
  openHost,
  openWebUi,
  openWorker,
  rejected,
  sideBySide,
  startAgain,
  type WorkerHost,
} from "../support/worker-host.ts";

const testMs = 60_000;
const always = Number.POSITIVE_INFINITY;
const jobCalls = /\/api\/v1\/jobs\//;

interface Variant {
  readonly title: string;
  readonly settings?: Record<string, string>;
  /** Before the web UI goes away. */
  readonly before?: (host: WorkerHost, job: FakeJob) => Promise<void>;
  /** Ends the job; default: isotovideo comes to its end. */
  readonly cause?: (host: WorkerHost) => Promise<void> | void;
  readonly result: string;
}

const variants: readonly Variant[] = [
  { title: "passed", result: "passed" },
  { title: "failed", settings: { FAKE_MODULES: "boot:ok,shell:fail" }, result: "failed" },
  { title: "died", settings: { FAKE_EXIT: "1" }, result: "incomplete" },
  {
    title: "died with a cause in base_state.json",
    settings: { FAKE_EXIT: "1", FAKE_BASE_STATE: '{"component":"backend","msg":"QEMU exited unexpectedly"}' },
    result: "incomplete",
  },
  {
    title: "cancelled",
    settings: { FAKE_IGNORE_TERM: "1" },
    before: async ({ ui }, job) => {
      ui.cancel(job);
      await ui.request(({ path, json }) => path.endsWith("/status") && isUploading(json));
    },
    cause: () => {},
    result: "user_cancelled",
  },
  { title: "timed out", settings: { MAX_JOB_TIME: "1" }, cause: () => {}, result: "timeout_exceeded" },
];

describe("a job whose web UI is away at its end", () => {
  for (const { title, settings, before, cause, result } of variants)
    sideBySide(
      `${title}: the web UI gets all of it when it is back, set_done last and once`,
      async () => {
        const hosts = [await openHost(spoolingOptions), await openHost(spoolingOptions)] as const;
        const end = async (host: WorkerHost, isAway: boolean) => {
          const job = await runningJob(host, settings);
          await before?.(host, job);
          if (isAway) await host.ui.goAway();
          await (cause ?? (({ worker }) => letEnd(worker)))(host);
          return job;
        };
        const [undisturbed, disturbed] = await Promise.all([end(hosts[0], false), end(hosts[1], true)]);
        const { ui, worker } = hosts[1];
        await waits(worker, 1);
        await eventually("the pool is empty", worker, async () => {
          return (await readdir(worker.pool())).every((name) => name.startsWith("."));
        });
        await ui.comeBack();
        await delivered(ui, worker, disturbed);
        await hosts[0].ui.setDone(undisturbed.id);
        expect(undisturbed.result).toBe(result);
        expectSameHeld(disturbed, undisturbed);
        expectOneEnd(ui, disturbed);
        await worksOn(ui);
      },
      testMs,
    );

  sideBySide(
    "TERM: the worker ends in time, the next start delivers",
    async () => {
      const options = { ...spoolingOptions, own: { ...spoolingOptions.own, "stop.total_ms": 4000 } };
      const [calm, host] = [await openHost(options), await openHost(options)];
      const undisturbed = await runningJob(calm);
      const job = await runningJob(host);
      await host.ui.goAway();
      const before = performance.now();
      for (const { worker } of [calm, host]) worker.kill("SIGTERM");
      expect(await host.worker.exit()).toEqual({ code: 0, signal: null });
      expect(performance.now() - before).toBeLessThan(6000);
      expect(await entriesIn(host.worker, "waiting")).toHaveLength(1);
      await host.ui.comeBack();
      const next = startAgain(host.worker);
      await delivered(host.ui, next, job);
      await calm.worker.exit();
      expect(undisturbed.reason).toBe("quit: worker has been stopped or restarted");
      expectSameHeld(job, undisturbed);
      expectOneEnd(host.ui, job);
      await worksOn(host.ui);
    },
    testMs,
  );

  sideBySide(
    "assets that the web UI takes by their paths are there when it takes them",
    async () => {
      const host = await openHost({ ...spoolingOptions, global: { LOCAL_UPLOAD: 1 } });
      const { ui, worker } = host;
      const job = await spooledJob(host);
      const taken: boolean[] = [];
      ui.fault(({ form }) => {
        const path = fieldOf(form, "local");
        if (path !== undefined) taken.push(existsSync(path));
        return false;
      }, "hang");
      await ui.comeBack();
      await delivered(ui, worker, job);
      expect(taken).toEqual([true, true]);
      expect([...job.assets.keys()].sort()).toEqual(["priv.img", "pub.img"]);
    },
    testMs,
  );

  for (const signal of ["SIGTERM", "SIGKILL", "SIGUSR2"] as const)
    sideBySide(
      `is told by the next start when the worker got ${signal} while it waited`,
      async () => {
        const host = await openHost(spoolingOptions);
        const job = await spooledJob(host);
        host.worker.kill(signal);
        const { code } = await host.worker.exit();
        expect(code).toBe(signal === "SIGKILL" ? null : 0);
        const next = startAgain(host.worker);
        await next.awaitLog(/trying again/);
        await host.ui.comeBack();
        await delivered(host.ui, next, job);
        expect(job.result).toBe("passed");
        expectOneEnd(host.ui, job);
      },
      testMs,
    );
});

describe("while the end of a job waits", () => {
  sideBySide(
    "its web UI is told so and gives no other job, as long as it takes nothing",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker, workerId } = host;
      const job = await spooledJob(host);
      const trouble = ui.fault(jobCalls, { status: 503 }, always);
      const from = ui.now;
      await ui.comeBack();
      const { value } = await ui.message({ type: "worker_status" }, { from });
      expect(value).toMatchObject({
        status: "working",
        current_webui_host: ui.url,
        job: { id: job.id },
      });
      const registrations = ui.requests.filter(
        ({ index, path }) => index >= from && path === "/api/v1/workers",
      );
      expect(registrations.map(({ query }) => query.getAll("job_id"))).toEqual([[String(job.id)]]);
      const other = ui.offer(endlessJob, workerId);
      expect(String((await rejected(ui, other.id)).value["reason"])).toMatch(
        new RegExp(`results of job ${job.id} still wait for delivery`),
      );
      trouble.remove();
      await delivered(ui, worker, job);
      expectOneEnd(ui, job);
      await ui.message({ type: "worker_status", status: "free" }, { from: ui.now });
      await worksOn(ui);
    },
    testMs,
  );

  sideBySide(
    "its next job is taken as soon as it is being told the end (field lesson 2)",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker, workerId } = host;
      const job = await spooledJob(host);
      const answering = Promise.withResolvers<void>();
      ui.fault(/set_done/, { until: answering.promise });
      await ui.comeBack();
      await ui.request(/set_done/, { from: ui.now });
      await worker.awaitLog(/Registered and connected[\s\S]*Registered and connected/);
      const next = ui.offer(plainJob, workerId);
      await ui.message({ type: "accepted", jobid: next.id });
      answering.resolve();
      await ui.setDone(next.id);
      expect([job.result, next.result]).toEqual(["passed", "passed"]);
    },
    testMs,
  );

  sideBySide(
    "other web UIs get their jobs done, whether it is still away or back",
    async () => {
      const [ui, other] = [await openWebUi(), await openWebUi()];
      const worker = await openWorker([ui, other], spoolingOptions);
      const workerId = await ui.registered();
      await other.registered();
      const job = await spooledJob({ ui, worker, workerId });
      await worksOn(other);
      const trouble = ui.fault(jobCalls, { status: 503 }, always);
      const from = ui.now;
      await ui.comeBack();
      await ui.message({ type: "worker_status", status: "working" }, { from });
      await worksOn(other);
      trouble.remove();
      await delivered(ui, worker, job);
      expect(job.result).toBe("passed");
      await worksOn(ui);
      await worksOn(other);
    },
    testMs,
  );

  for (const first of [0, 1] as const)
    sideBySide(
      `two web UIs that are away one after the other get what is theirs, the ${first === 0 ? "first" : "second"} one first`,
      async () => {
        const uis = [await openWebUi(), await openWebUi()] as const;
        const worker = await openWorker([...uis], spoolingOptions);
        const ids = [await uis[0].registered(), await uis[1].registered()] as const;
        const jobs: FakeJob[] = [await spooledJob({ ui: uis[0], worker, workerId: ids[0] })];
        jobs.push(await runningJob({ ui: uis[1], workerId: ids[1] }));
        await uis[1].goAway();
        await letEnd(worker);
        await waits(worker, 2);
        for (const which of [first, 1 - first]) {
          await uis[which]!.comeBack();
          await uis[which]!.setDone(jobs[which]!.id);
          expectOneEnd(uis[which]!, jobs[which]!);
        }
        await waits(worker, 0);
        expectSameHeld(jobs[0]!, jobs[1]!);
        await worksOn(uis[0]);
        await worksOn(uis[1]);
      },
      testMs,
    );
});

describe("nothing is spooled", () => {
  sideBySide(
    "where a file has the spool's name: the log says what to do, the web UI is waited for",
    async () => {
      const [calm, host] = [await openHost(spoolingOptions), await openHost(spoolingOptions)];
      const undisturbed = await runningJob(calm);
      await letEnd(calm.worker);
      const { ui, worker } = host;
      const job = await runningJob(host);
      await rm(join(spoolFolder(worker), ".."), { recursive: true });
      await writeFile(join(spoolFolder(worker), ".."), "no folder");
      await ui.goAway();
      await letEnd(worker);
      const line = await worker.awaitLog(/\[error\].*spool.*/);
      expect(line[0]).toMatch(/has to be a folder that the worker's user can write to/);
      await ui.comeBack();
      await ui.setDone(job.id);
      await calm.ui.setDone(undisturbed.id);
      expectSameHeld(job, undisturbed);
      expectOneEnd(ui, job);
    },
    testMs,
  );

  sideBySide(
    "for a web UI that answers 500 at the end and then is well again",
    async () => {
      const [calm, host] = [await openHost(spoolingOptions), await openHost(spoolingOptions)];
      const [undisturbed, job] = [await runningJob(calm), await runningJob(host)];
      for (const call of [/artefact/, /status/, /set_done/]) host.ui.fault(call, { status: 500 }, 2);
      for (const { worker } of [calm, host]) await letEnd(worker);
      await Promise.all([calm.ui.setDone(undisturbed.id), host.ui.setDone(job.id)]);
      expectSameHeld(job, undisturbed);
      expectOneEnd(host.ui, job);
      expect(await entriesIn(host.worker, "waiting")).toEqual([]);
    },
    testMs,
  );
});

/** Resolves when the web UI has got the end, and it is gone from the spool. */
async function delivered(ui: FakeWebUi, worker: Parameters<typeof waits>[0], job: FakeJob): Promise<void> {
  await ui.setDone(job.id);
  await eventually(`job ${job.id} done`, worker, () => job.state === "done");
  await waits(worker, 0);
  expect(await entriesIn(worker, "refused")).toEqual([]);
}
