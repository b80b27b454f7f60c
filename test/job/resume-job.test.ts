import { expect, test } from "bun:test";
import { uptime } from "node:os";
import type { JobInput } from "../../src/job/job-in-progress.ts";
import { newJobState } from "../../src/job/job-record.ts";
import { JobStop } from "../../src/job/job-stop.ts";
import { resumeJob } from "../../src/job/resume-job.ts";
import { Audience } from "../../src/results/audience.ts";
import { grabJob } from "../../src/webui/job-offers.ts";
import { leaveScript } from "../isotovideo/left-run.ts";
import { Pool } from "../isotovideo/pool.ts";
import { WebUiDouble } from "../results/web-ui-double.ts";
import { smallOwnSettings } from "../support/small-settings.ts";
import { JobHost, recordingContext } from "./job-host.ts";

test("a job that is stopped before it is taken over: nothing of it runs when the web UI is told", async () => {
  const pool = await Pool.create();
  try {
    await leaveScript(pool, "sleep 60");
    await using host = await JobHost.make();
    let aliveAtEnd: unknown;
    await using ui = new WebUiDouble(({ path }) => {
      if (path.endsWith("/set_done")) aliveAtEnd = pool.alive();
      return Response.json({});
    });
    const offer = grabJob({ id: 12, settings: {} });
    if (offer.kind !== "grab_job") throw new Error(`the offer is ${offer.kind}`);
    const webUi = ui.client();
    const settings = { ...host.settings, own: smallOwnSettings, poolDirectory: pool.folder };
    const { signal } = new AbortController();
    const parts = { job: offer.job, webUi, settings, audience: new Audience(), workerHostname: "host" };
    const hooks = { entered: () => {}, hasStarted: () => {} };
    const input = { ...parts, ...hooks, kill: signal, hurry: signal, giveUp: signal } as unknown as JobInput;
    const run = {
      startedAtUptimeS: uptime(),
      commandServerUrl: "http://127.0.0.1:9/",
      workerHostname: "host",
    };
    const state = { ...newJobState(offer.job, webUi), phase: "running", run } as const;
    const stopped = recordingContext(AbortSignal.abort(new JobStop("cancel")));
    expect(await resumeJob(input, state, stopped)).toMatchObject({ delivery: "told" });
    expect(await aliveAtEnd).toEqual([]);
  } finally {
    await pool.remove();
  }
});
