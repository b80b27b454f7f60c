// What can happen to a job that a later start of the worker has taken over, or cannot take over, on the built executable.
import { describe, expect } from "bun:test";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { adopting, leave } from "../support/adopted-jobs.ts";
import { type FakeJob, fileNameOf } from "../support/fake-web-ui.ts";
import { expectOneEnd } from "../support/job-ends.ts";
import type { RequestMatcher } from "../support/journal.ts";
import { eventually, letEnd, runningJob, spoolingOptions, waits, worksOn } from "../support/spooled-jobs.ts";
import type { TemporaryWorker } from "../support/temporary-worker.ts";
import {
  openHost,
  openWebUi,
  openWorker,
  sideBySide,
  startAgain,
  type WorkerHost,
} from "../support/worker-host.ts";

const testMs = 60_000;

describe("an adopted job", () => {
  const quitText = "quit: worker has been stopped or restarted";

  sideBySide(
    "is cancelled as any other",
    async () => {
      const host = await openHost(spoolingOptions);
      const job = await adopted(host);
      host.ui.cancel(job);
      await host.ui.setDone(job.id);
      expect(job).toMatchObject({ result: "user_cancelled", reason: null, clone: undefined });
      expect([...job.assets.keys()].sort()).toEqual(["priv.img", "pub.img"]);
      expect(await host.worker.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  sideBySide(
    "is ended by TERM to the worker as any other",
    async () => {
      const host = await openHost(spoolingOptions);
      const job = await adopted(host, (next) => next.kill("SIGTERM"));
      await host.ui.setDone(job.id);
      expect(job).toMatchObject({ result: "incomplete", reason: quitText });
      expect(job.clone).toBeDefined();
      await eventually("nothing runs", host.worker, async () => (await host.worker.bornSince()).length === 0);
    },
    testMs,
  );

  sideBySide(
    "can be handed over again",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host);
      await leave(worker, "SIGUSR2");
      const second = await adopting(host, [job]);
      await leave(second, "SIGKILL");
      const third = await adopting(host, [job]);
      await leave(third, "SIGUSR2");
      await adopting(host, [job]);
      await letEnd(worker);
      await ui.setDone(job.id);
      expect(job).toMatchObject({ result: "passed", clone: undefined });
      expectOneEnd(ui, job);
    },
    testMs,
  );

  sideBySide(
    "has as much time as if it had kept its worker",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host, { MAX_JOB_TIME: "3" });
      const startedAt = performance.now();
      await leave(worker, "SIGKILL");
      await Bun.sleep(1500);
      startAgain(worker);
      await ui.setDone(job.id);
      expect(job).toMatchObject({
        result: "timeout_exceeded",
        reason: "timeout: test execution exceeded MAX_JOB_TIME",
      });
      expect(performance.now() - startedAt).toBeWithin(2000, 4300);
    },
    testMs,
  );

  sideBySide(
    "ends as it has ended, however long the worker was gone",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host, { MAX_JOB_TIME: "3" });
      await leave(worker, "SIGKILL");
      await letEnd(worker);
      await eventually("nothing runs", worker, async () => (await worker.bornSince()).length === 0);
      await Bun.sleep(3000);
      startAgain(worker);
      await ui.setDone(job.id);
      expect(job).toMatchObject({ result: "passed", reason: null });
    },
    testMs,
  );

  sideBySide(
    "goes on while its web UI is away, and is told when that is back",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host);
      await leave(worker, "SIGUSR2");
      await ui.goAway();
      const next = startAgain(worker);
      await next.awaitLog(/Going on with job/);
      await letEnd(worker);
      await waits(next, 1);
      await ui.comeBack();
      await ui.setDone(job.id);
      expect(job).toMatchObject({ result: "passed", clone: undefined });
      expectOneEnd(ui, job);
    },
    testMs,
  );

  sideBySide(
    "of a web UI that is not configured any more is ended, and the log says so",
    async () => {
      const host = await openHost(spoolingOptions);
      const job = await runningJob(host);
      await leave(host.worker, "SIGUSR2");
      const other = await openWebUi();
      const ini = join(host.worker.folder, "etc/workers.ini");
      const text = await Bun.file(ini).text();
      await writeFile(ini, text.replaceAll(host.ui.url, other.url));
      const next = startAgain(host.worker);
      const [line] = await next.awaitLog(new RegExp(`Job ${job.id} of ${host.ui.url}.*`));
      expect(line).toMatch(/not configured/);
      await other.registered();
      await worksOn(other);
      expect(await next.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  for (const [what, content] of [
    ["that is damaged", "{half"],
    ["of an unknown format", '{"format":99,"job":{"id":1},"host":"x","phase":"running"}'],
  ] as const)
    sideBySide(
      `with a state file ${what} is ended and given back`,
      async () => {
        const host = await openHost(spoolingOptions);
        const { ui, worker } = host;
        const job = await runningJob(host);
        await leave(worker, "SIGUSR2");
        await writeFile(join(worker.pool(), ".openqa-worker/job.json"), content);
        const from = ui.now;
        const next = startAgain(worker);
        await ui.registered({ from });
        expect(job.clone).toBeDefined();
        expect(await next.jobProcesses()).toEqual([]);
        await worksOn(ui);
      },
      testMs,
    );

  sideBySide(
    "without any file of state is not noticed, but what runs of it is ended",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host);
      await leave(worker, "SIGUSR2");
      await rm(join(worker.pool(), ".openqa-worker"), { recursive: true });
      const from = ui.now;
      const next = startAgain(worker);
      await ui.registered({ from });
      expect(job.clone).toBeDefined();
      await worksOn(ui);
      await eventually("nothing runs", next, async () => (await next.jobProcesses()).length === 0);
    },
    testMs,
  );
});

sideBySide(
  "the end of a job whose web UI is not configured any more waits in the spool, for when it is again",
  async () => {
    const [ui, other] = [await openWebUi(), await openWebUi()];
    const worker = await openWorker([ui, other], spoolingOptions);
    const job = await runningJob({ ui, worker, workerId: await ui.registered() });
    const isUserLog: RequestMatcher = (request) => fileNameOf(request) === "u.log";
    const hanging = ui.fault(isUserLog, "hang", Number.POSITIVE_INFINITY);
    await letEnd(worker);
    await ui.request(isUserLog);
    await leave(worker, "SIGKILL");
    const ini = join(worker.folder, "etc/workers.ini");
    const text = await Bun.file(ini).text();
    await writeFile(ini, text.replace(`${ui.url} ${other.url}`, other.url));
    const without = startAgain(worker);
    await waits(worker, 1);
    await leave(without, "SIGKILL");
    await writeFile(ini, text);
    hanging.remove();
    startAgain(worker);
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
  },
  testMs,
);

describe("handing over", () => {
  sideBySide(
    "said twice is handing over",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await runningJob(host);
      worker.kill("SIGUSR2");
      worker.kill("SIGUSR2");
      expect(await worker.exit(1000)).toEqual({ code: 0, signal: null });
      await adopting(host, [job]);
      await letEnd(worker);
      await ui.setDone(job.id);
      expect(job.result).toBe("passed");
    },
    testMs,
  );

  sideBySide(
    "while idle just ends the worker: the slot is not taken off the web UI",
    async () => {
      const { ui, worker } = await openHost();
      worker.kill("SIGUSR2");
      expect(await worker.exit(1000)).toEqual({ code: 0, signal: null });
      expect(ui.messages.map(({ value }) => value["type"])).not.toContain("quit");
      expect(await worker.bornSince()).toEqual([]);
      const from = ui.now;
      startAgain(worker);
      await ui.registered({ from });
      await worksOn(ui);
    },
    testMs,
  );
});

async function adopted(host: WorkerHost, then?: (next: TemporaryWorker) => void): Promise<FakeJob> {
  const job = await runningJob(host);
  await leave(host.worker, "SIGUSR2");
  const next = await adopting(host, [job]);
  then?.(next);
  return job;
}
