// The end of a job that waits in the spool and that the web UI does not want any more, on the built executable: it is
// kept for a while, said once, and the slot is free.
import { describe, expect } from "bun:test";
import { join } from "node:path";
import type { FakeJob, FakeWebUi } from "../support/fake-web-ui.ts";
import { fileNameOf } from "../support/fake-web-ui.ts";
import { always } from "../support/fake-web-ui-faults.ts";
import {
  endlessJob,
  entriesIn,
  eventually,
  isRefused,
  isThere,
  letEnd,
  runningJob,
  spooledJob,
  spoolingOptions,
  waits,
  worksOn,
} from "../support/spooled-jobs.ts";
import { openHost, sideBySide, startAgain } from "../support/worker-host.ts";

const testMs = 60_000;

/** What has happened to the job while the web UI was away. */
const fates: readonly (readonly [string, (ui: FakeWebUi, job: FakeJob) => void])[] = [
  ["was ended by the server, which had not heard of it for long", abandon],
  [
    "has been given to another worker",
    (ui, job) => {
      abandon(ui, job);
      Object.assign(job, { state: "running", assignedWorker: 77 });
    },
  ],
  [
    "has been re-scheduled",
    (ui, job) => {
      abandon(ui, job);
      Object.assign(job, { state: "scheduled", result: "none", reason: null, assignedWorker: undefined });
    },
  ],
  [
    "has been deleted",
    (ui, job) => {
      abandon(ui, job);
      ui.state.jobs.delete(job.id);
      // No later job gets its id.
      ui.state.jobs.set(-1, job);
    },
  ],
];

describe("a job whose end waits and that", () => {
  for (const [fate, befall] of fates)
    sideBySide(
      `${fate}: its end is refused, kept, said once, and the slot is free (field lesson 10)`,
      async () => {
        const host = await openHost(spoolingOptions);
        const { ui, worker } = host;
        const job = await spooledJob(host);
        befall(ui, job);
        const { state, result, reason } = job;
        await ui.comeBack();
        await isRefused(worker);
        expect({ state: job.state, result: job.result, reason: job.reason }).toEqual({
          state,
          result,
          reason,
        });
        await worksOn(ui);
        const said = worker.log
          .split("\n")
          .filter((line) => /does not want the end|results are kept/.test(line));
        expect(said).toEqual([
          expect.stringMatching(
            new RegExp(`\\[error\\].*The web UI does not want the end of job ${job.id}: `),
          ),
          expect.stringMatching(/\[error\].*Its results are kept in .*\/refused\//),
        ]);
        const [entry = ""] = await entriesIn(worker, "refused");
        for (const kept of ["autoinst-log.txt", "testresults/result-boot.json", "assets_public/pub.img"])
          expect(await isThere(join(entry, kept))).toBe(true);
        worker.kill("SIGTERM");
        await worker.exit();
        const next = startAgain(worker);
        await worksOn(ui, await ui.registered({ from: ui.now }));
        expect(next.log).not.toMatch(/does not want the end|results are kept/);
        expect(await entriesIn(worker, "refused")).toEqual([entry]);
      },
      testMs,
    );

  sideBySide(
    "was ended by the server while it was uploaded: the rest is not sent",
    async () => {
      const host = await openHost(spoolingOptions);
      const { ui, worker } = host;
      const job = await spooledJob(host);
      const isAsset = (request: Parameters<typeof fileNameOf>[0]) => fileNameOf(request) === "pub.img";
      ui.fault((request) => {
        if (isAsset(request)) abandon(ui, job);
        return false;
      }, "hang");
      await ui.comeBack();
      await isRefused(worker);
      expect(job.result).toBe("incomplete");
      expect(job.assets.has("pub.img")).toBe(false);
      await worksOn(ui);
    },
    testMs,
  );
});

sideBySide(
  "a key that the web UI refuses keeps an end waiting, for when the key is right again",
  async () => {
    const host = await openHost(spoolingOptions);
    const { ui, worker } = host;
    const job = await runningJob(host);
    const refusal = ui.fault(
      /artefact|set_done/,
      { status: 403, body: '{"error":"api key expired"}' },
      always,
    );
    await letEnd(worker);
    await worker.awaitLog(/end of the job waits/);
    refusal.remove();
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
    expect([...job.assets.keys()].sort()).toEqual(["priv.img", "pub.img"]);
    expect(await entriesIn(worker, "refused")).toEqual([]);
  },
  testMs,
);

describe("of what was refused", () => {
  const big = { FAKE_ASSETS_PUBLIC: "pub.img:200000" };

  sideBySide(
    "only as much is kept as the settings allow, the newest",
    async () => {
      const own = { ...spoolingOptions.own, "spool.keep_refused_bytes": 300_000 };
      const host = await openHost({ ...spoolingOptions, own });
      const { ui, worker } = host;
      const refuse = async () => {
        const job = await spooledJob(host, big);
        abandon(ui, job);
        const from = ui.now;
        await ui.comeBack();
        await isRefused(worker);
        await ui.message({ type: "worker_status", status: "free" }, { from });
        return (await entriesIn(worker, "refused"))[0];
      };
      const [first, second] = [await refuse(), await refuse()];
      expect(second).not.toBe(first);
      expect(await entriesIn(worker, "refused")).toEqual([second ?? ""]);
    },
    testMs,
  );

  sideBySide(
    "nothing is kept where the settings allow no time for it",
    async () => {
      const own = { ...spoolingOptions.own, "spool.keep_refused_ms": 0 };
      const host = await openHost({ ...spoolingOptions, own });
      const { ui, worker } = host;
      const job = await spooledJob(host);
      abandon(ui, job);
      await ui.comeBack();
      await isRefused(worker, 0);
      await worksOn(ui);
      expect(job.result).toBe("incomplete");
    },
    testMs,
  );
});

sideBySide(
  "a job that the server ends while its end is told to it leaves nothing that waits",
  async () => {
    const { ui, worker, workerId } = await openHost(spoolingOptions);
    const job = await runningJob({ ui, workerId }, { FAKE_MODULES: endlessJob.FAKE_MODULES });
    ui.fault(({ path }) => {
      if (path.endsWith("/artefact")) abandon(ui, job);
      return false;
    }, "hang");
    await letEnd(worker);
    await eventually("the end is put aside", worker, () => /does not want the end/.test(worker.log));
    await waits(worker, 0);
    await worksOn(ui);
  },
  testMs,
);

/** As servers do after half an hour of silence (server-side 2.2). */
function abandon(ui: FakeWebUi, job: FakeJob): void {
  if (job.state === "done") return;
  Object.assign(job, {
    state: "done",
    result: "incomplete",
    reason: "abandoned: no status updates for too long",
  });
  job.clone ??= ui.state.add(job.settings);
  for (const worker of ui.state.workers.values())
    if (worker.currentJob === job.id) worker.currentJob = undefined;
}
