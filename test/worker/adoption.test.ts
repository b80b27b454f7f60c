// Jobs survive their worker, on the built executable: it hands over with USR2 or is KILLed while isotovideo runs, and its
// next start goes on with them.
import { describe, expect } from "bun:test";
import { adopting, farewells, leave } from "../support/adopted-jobs.ts";
import type { FakeWebUi } from "../support/fake-web-ui.ts";
import { expectOneEnd, expectSameHeld, modulesIn } from "../support/job-ends.ts";
import {
  endlessJob,
  eventually,
  letEnd,
  runningJob,
  spoolingOptions,
  worksOn,
} from "../support/spooled-jobs.ts";
import {
  moduleReported,
  openHost,
  openWebUi,
  openWorker,
  sideBySide,
  startAgain,
} from "../support/worker-host.ts";

const testMs = 60_000;
const diedText = "died: terminated prematurely, see log output for details";

describe.each(farewells)("a job whose worker gets %s", (signal) => {
  sideBySide(
    "goes on without it, and ends as if nothing had been",
    async () => {
      const calm = await openHost(spoolingOptions);
      const undisturbed = await runningJob(calm);
      await letEnd(calm.worker);
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host);
      const before = { running: await worker.jobProcesses(), supervisors: await worker.supervisors() };
      await leave(worker, signal);
      expect(ui.messages.map(({ value }) => value["type"])).not.toContain("quit");
      expect({ running: await worker.jobProcesses(), supervisors: await worker.supervisors() }).toEqual(
        before,
      );
      const next = await adopting(host, [job]);
      await letEnd(worker);
      await ui.setDone(job.id);
      await calm.ui.setDone(undisturbed.id);
      expectSameHeld(job, undisturbed);
      expectOneEnd(ui, job);
      expect(job.files.get("worker-log.txt")?.toString()).toMatch(/Setting up job[\s\S]*Going on with job/);
      await worksOn(ui);
      expect(await next.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  sideBySide(
    "is reported from where it was: what was sent is not sent again before the end",
    async () => {
      const host = await openHost();
      const { ui } = host;
      const modules = { FAKE_MODULES: "boot:ok,shell:ok,last:ok", FAKE_SECONDS: "3" };
      const job = ui.offer({ ...endlessJob, ...modules });
      await moduleReported(ui, job, "boot");
      // By the next post it is noted in the pool.
      await ui.request(({ path, answer }) => path.endsWith("/status") && answer !== undefined, {
        from: ui.now,
      });
      await leave(host.worker, signal);
      const from = ui.now;
      await adopting(host, [job]);
      await moduleReported(ui, job, "last");
      const posts = ui
        .requestsOf(job.id)
        .filter(({ index, path }) => index >= from && path.endsWith("/status"));
      expect(posts.flatMap(modulesIn)).toEqual(["shell", "last"]);
      expect(posts.map(({ body }) => body.toString()).join()).not.toContain("test_order");
      await letEnd(host.worker);
      await ui.setDone(job.id);
      expect(job.result).toBe("passed");
      expectOneEnd(ui, job);
    },
    testMs,
  );

  sideBySide(
    "goes on in each of several slots",
    async () => {
      const ui = await openWebUi();
      const worker = await openWorker(ui, { ...spoolingOptions, instances: "1-3" });
      const ids = await idsOf(ui, 3);
      const jobs = await Promise.all(ids.map((workerId) => runningJob({ ui, workerId })));
      await leave(worker, signal);
      await adopting({ ui, worker }, jobs);
      for (const instance of [1, 2, 3]) await letEnd(worker, instance);
      for (const job of jobs) {
        await ui.setDone(job.id);
        expect(job).toMatchObject({ result: "passed", clone: undefined });
        expectOneEnd(ui, job);
      }
    },
    testMs,
  );

  const ends = [
    ["exit code 0", {}, "passed", null],
    ["exit code 1", { FAKE_EXIT: "1" }, "incomplete", diedText],
    ["a signal", { FAKE_SIGNAL: "KILL" }, "incomplete", diedText],
  ] as const;
  for (const [how, settings, result, reason] of ends)
    sideBySide(
      `ends with ${how} while there is no worker`,
      async () => {
        const host = await openHost(spoolingOptions);
        const { ui, worker } = host;
        const job = await runningJob(host, settings);
        await leave(worker, signal);
        await letEnd(worker);
        await eventually("nothing runs", worker, async () => (await worker.bornSince()).length === 0);
        startAgain(worker);
        await ui.setDone(job.id);
        expect(job).toMatchObject({ result, reason, clone: undefined });
        expectOneEnd(ui, job);
        await worksOn(ui);
      },
      testMs,
    );

  sideBySide(
    "whose supervisor is killed as well has died, nothing of it is left running",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host);
      const supervisors = await worker.supervisors();
      await leave(worker, signal);
      for (const { pid } of supervisors) process.kill(pid, "SIGKILL");
      const next = startAgain(worker);
      await ui.setDone(job.id);
      expect(job).toMatchObject({ result: "incomplete", reason: diedText, clone: undefined });
      expect(await next.jobProcesses()).toEqual([]);
      expectOneEnd(ui, job);
      await worksOn(ui);
    },
    testMs,
  );

  sideBySide(
    "in its set-up is given back: it is not named, and nothing of it is left running",
    async () => {
      const host = await openHost({ global: { SYNC_ASSETS_HOOK: "sleep 60" } });
      const { ui, worker } = host;
      const job = ui.offer(endlessJob);
      const isHook = ({ command }: { command: string }) => command === "sleep 60";
      await eventually("the hook runs", worker, async () => (await worker.jobProcesses()).some(isHook));
      await leave(worker, signal);
      const from = ui.now;
      const next = startAgain(worker);
      const registration = await ui.request(/POST \/api\/v1\/workers/, { from });
      expect(registration.query.getAll("job_id")).toEqual([]);
      await ui.registered({ from });
      expect(job.clone).toBeDefined();
      expect(await next.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  sideBySide(
    "while it uploads: the next start goes on from what the pool holds",
    async () => {
      const calm = await openHost(spoolingOptions);
      const undisturbed = await runningJob(calm);
      await letEnd(calm.worker);
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host);
      const trouble = ui.fault(/artefact/, "hang", Number.POSITIVE_INFINITY);
      await letEnd(worker);
      const { index } = await ui.request(/artefact/);
      await leave(worker, signal);
      trouble.remove();
      startAgain(worker);
      const registration = await ui.request(/POST \/api\/v1\/workers/, { from: index });
      expect(registration.query.getAll("job_id")).toEqual([String(job.id)]);
      await ui.setDone(job.id);
      await calm.ui.setDone(undisturbed.id);
      expectSameHeld(job, undisturbed);
      expectOneEnd(ui, job);
      await worksOn(ui);
    },
    testMs,
  );
});

/** Ids of the workers that have registered, when there are so many. */
async function idsOf(ui: FakeWebUi, count: number): Promise<number[]> {
  const known = new Set<number>();
  await ui.message(({ workerId }) => known.add(workerId).size >= count);
  return [...known].sort();
}
