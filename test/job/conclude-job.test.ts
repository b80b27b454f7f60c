import { expect, test } from "bun:test";
import { join } from "node:path";
import { AssetCaches } from "../../src/cache/worker/asset-caches.ts";
import { ApiError } from "../../src/errors.ts";
import { concludeJob } from "../../src/job/conclude-job.ts";
import type { JobInput } from "../../src/job/job-in-progress.ts";
import { openJobLog } from "../../src/job/job-log.ts";
import { JobRecord, newJobState } from "../../src/job/job-record.ts";
import { JobWebUi } from "../../src/job/job-web-ui.ts";
import { Spool } from "../../src/job/spool/spool.ts";
import { spoolDisk } from "../../src/job/spool/spool-disk.ts";
import { readJobState } from "../../src/job/state-file.ts";
import { Audience } from "../../src/results/audience.ts";
import { grabJob } from "../../src/webui/job-offers.ts";
import type { RestRequest, WebUi } from "../../src/webui/web-ui.ts";
import { WebUiDouble } from "../results/web-ui-double.ts";
import { noOptimiser } from "../support/no-optimiser.ts";
import { JobHost, recordingContext } from "./job-host.ts";

const noAnswer = () => Promise.reject(new ApiError("Connection error: Connection refused", undefined));

/** A job that has passed, and whose web UI does not answer. */
async function conclude(
  host: JobHost,
  play: {
    readonly call: WebUi["call"];
    readonly spool?: Partial<JobInput>;
    readonly rename?: typeof spoolDisk.rename;
  },
) {
  await using double = new WebUiDouble();
  const webUi: WebUi = { ...double.client(), call: play.call };
  const offer = grabJob({ id: 12, settings: {} });
  if (offer.kind !== "grab_job") throw new Error(`the offer is ${offer.kind}`);
  const { signal } = new AbortController();
  const disk = { ...spoolDisk, ...(play.rename && { rename: play.rename }) };
  const input: JobInput = {
    job: offer.job,
    webUi,
    settings: host.settings,
    program: host.program,
    caches: new AssetCaches(),
    optimiser: noOptimiser,
    spool: new Spool(host.path("spool/1"), host.settings.own.spool, disk),
    audience: new Audience(),
    workerHostname: "host",
    entered: () => {},
    hasStarted: () => {},
    ...{ stop: signal, kill: signal, hurry: signal, giveUp: signal },
    ...play.spool,
  };
  const { log, lines } = recordingContext();
  const jobWebUi = new JobWebUi(webUi);
  const record = new JobRecord(host.pool, newJobState(offer.job, webUi), log);
  const jobLog = await openJobLog(host.pool, "info");
  await using held = new AsyncDisposableStack();
  const progress = { input, webUi: jobWebUi, jobLog, record, held };
  const end = await concludeJob(progress, { stopReason: "done" }, log).finally(() => jobLog.close());
  return { end, lines };
}

function isUploading({ json }: RestRequest): boolean {
  return Bun.deepMatch({ status: { uploading: 1 } }, json ?? {});
}

test("the end waits in the spool, and the slot is free, as long as nobody hears that the job uploads", async () => {
  await using host = await JobHost.make({ "pool/1/video.ogv": "OggS" });
  const { end } = await conclude(host, {
    call: (request, { signal }) =>
      isUploading(request)
        ? new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
        : noAnswer(),
  });
  expect(end.delivery).toBe("spooled");
});

test("an end that is on its way to the spool when the time to stop is over goes on at the next start", async () => {
  await using host = await JobHost.make({ "pool/1/video.ogv": "OggS" });
  const giveUp = new AbortController();
  await conclude(host, {
    call: noAnswer,
    spool: { giveUp: giveUp.signal },
    rename: async (from, to) => {
      await spoolDisk.rename(from, to);
      giveUp.abort(new Error("the time to stop is over"));
    },
  });
  const state = await readJobState(host.pool);
  expect(state).toMatchObject({ phase: "spooling", job: { id: 12 }, ending: { stopReason: "done" } });
  const spool = new Spool(host.path("spool/1"), host.settings.own.spool);
  const context = recordingContext();
  const entry = await spool.take({ poolDirectory: host.pool, state: state!, isVarsRedacted: false }, context);
  expect(await Bun.file(join(entry.directory, "video.ogv")).text()).toBe("OggS");
  expect(await readJobState(host.pool)).toBeUndefined();
});

test("what the web UI refuses is put aside, and the log says where and why", async () => {
  await using host = await JobHost.make({ "pool/1/video.ogv": "OggS" });
  const { end, lines } = await conclude(host, {
    call: () => Promise.reject(new ApiError("404 response: No worker assigned", 404)),
  });
  expect(end).toMatchObject({ delivery: "refused", why: "404 response: No worker assigned" });
  const [, kept = ""] = /Its results are kept in (\S+)/.exec(lines.join("\n")) ?? [];
  expect(await Bun.file(join(kept, "video.ogv")).text()).toBe("OggS");
  expect(await Bun.file(join(kept, "refused.txt")).text()).toContain("404 response: No worker assigned");
  expect(await readJobState(host.pool)).toBeUndefined();
});
