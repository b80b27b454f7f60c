// Offers of queues that a slot cannot take (protocol 2.5, rules for grab_job), on the built executable: while it has a
// queue, and invalid ones.
import { describe, expect } from "bun:test";
import { answersTo } from "../support/delivered.ts";
import type { FakeJob, FakeWebUi, RecordedMessage } from "../support/fake-web-ui.ts";
import { plainJob } from "../support/temporary-worker.ts";
import { finishesNextJob, openHost, rejected, sideBySide, type WorkerHost } from "../support/worker-host.ts";

const testMs = 120_000;

async function allDone(ui: FakeWebUi, jobs: readonly FakeJob[]): Promise<void> {
  for (const job of jobs) await ui.setDone(job.id);
}

describe("an offer while a queue is worked on", () => {
  async function busyHost(): Promise<WorkerHost & { jobs: FakeJob[] }> {
    const host = await openHost();
    const jobs = host.ui.offerQueue([{ ...plainJob, FAKE_LINGER: "0.5" }, plainJob], [0, 1]);
    await host.ui.message({ type: "accepted", jobid: jobs[0]!.id });
    return { ...host, jobs };
  }

  sideBySide(
    "of jobs that it has is no news, also of a pending one alone (field lesson 3)",
    async () => {
      const { ui, workerId, jobs } = await busyHost();
      ui.offerQueueAgain(jobs, [0, 1]);
      for (const job of jobs) ui.send(workerId, { type: "grab_job", job: ui.state.asSent(job) });
      await allDone(ui, jobs);
      expect(jobs.map((job) => answersTo(ui, job))).toEqual([["accepted"], ["accepted"]]);
    },
    testMs,
  );

  sideBySide(
    "of others is rejected, with the ids of all that it has (field lesson 2)",
    async () => {
      const { ui, workerId, jobs } = await busyHost();
      const reason = `already busy with job(s) ${jobs[0]!.id}, ${jobs[1]!.id}`;
      const single = ui.offer(plainJob);
      const queue = ui.offerQueue([plainJob, plainJob], [0, 1]);
      for (const { id } of [single, ...queue]) expect((await rejected(ui, id)).value["reason"]).toBe(reason);
      const data = { [jobs[0]!.id]: ui.state.asSent(jobs[0]!), 99: { id: 99, settings: {} } };
      ui.send(workerId, {
        type: "grab_jobs",
        job_info: { ids: Object.keys(data), data, sequence: [jobs[0]!.id, 99] },
      });
      expect((await rejected(ui, 99)).value["reason"]).toBe(reason);
      await allDone(ui, jobs);
      expect(jobs.map(({ result }) => result)).toEqual(["passed", "passed"]);
      await finishesNextJob(ui);
    },
    testMs,
  );
});

sideBySide(
  "invalid queues: rejected by all their ids, or named and ignored; the slot stays free",
  async () => {
    const { ui, worker, workerId } = await openHost();
    const job = (id: number) => ({ id, settings: { NAME: `job ${id}` } });
    const send = (job_info: object) => ui.send(workerId, { type: "grab_jobs", job_info });
    const cases: readonly (readonly [object, string])[] = [
      [{ data: { 71: job(71), 72: { id: 72 } }, sequence: [71, 72] }, "the provided job is invalid"],
      [{ data: { 71: job(71), 72: job(72) } }, "job info lacks execution sequence"],
      [{ data: { 71: job(71), 72: job(72) }, sequence: "71" }, "job info lacks execution sequence"],
      [{ data: { 71: job(71), 72: job(72) }, sequence: [71, [72, 73]] }, "job data for job 73 is missing"],
    ];
    for (const [info, text] of cases) {
      const from = ui.now;
      send(info);
      const { value } = await ui.message(({ value: { type } }) => type === "rejected", { from });
      expect((value["job_ids"] as unknown[]).map(String).sort()).toEqual(["71", "72"]);
      expect(value["reason"]).toStartWith(text);
    }
    for (const info of [{ sequence: [1] }, { data: { 71: job(72) }, sequence: [72] }]) {
      const [from, before] = [worker.log.length, ui.messages.filter(isRejection).length];
      send(info);
      await worker.awaitLog(/\[warn\].*grab_jobs/, { from });
      expect(ui.messages.filter(isRejection)).toHaveLength(before);
    }
    await finishesNextJob(ui);
  },
  testMs,
);

const isRejection = ({ value }: RecordedMessage) => value["type"] === "rejected";
