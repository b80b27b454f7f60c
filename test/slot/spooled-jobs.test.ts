import { expect, test } from "bun:test";
import { ApiError } from "../../src/errors.ts";
import { newJobState } from "../../src/job/job-record.ts";
import { Spool } from "../../src/job/spool/spool.ts";
import { spoolDisk } from "../../src/job/spool/spool-disk.ts";
import { SpooledJobs } from "../../src/slot/spooled-jobs.ts";
import type { Connection } from "../../src/webui/connection.ts";
import { grabJob } from "../../src/webui/job-offers.ts";
import type { RestRequest, WebUi } from "../../src/webui/web-ui.ts";
import { JobHost, recordingContext } from "../job/job-host.ts";
import { WebUiDouble } from "../results/web-ui-double.ts";
import { smallOwnSettings } from "../support/small-settings.ts";

type Answer = (request: RestRequest) => Promise<unknown> | unknown;

/** Job 12 has passed, and its end waits. `answer`: the body of what its web UI answers; throws for no answer. */
async function spooled(host: JobHost, answer: Answer, disk: Partial<typeof spoolDisk> = {}) {
  await using double = new WebUiDouble();
  const asked: string[] = [];
  const client: WebUi = {
    ...double.client(),
    call: async (request) => {
      asked.push(`${request.method ?? "GET"} ${request.path}`);
      return { status: 200, headers: new Headers(), body: await answer(request) };
    },
  };
  const spool = new Spool(host.path("spool/1"), smallOwnSettings.spool, { ...spoolDisk, ...disk });
  const offer = grabJob({ id: 12, settings: {} });
  if (offer.kind !== "grab_job") throw new Error(`the offer is ${offer.kind}`);
  const state = {
    ...newJobState(offer.job, client),
    phase: "delivering",
    ending: { stopReason: "done" },
  } as const;
  const context = recordingContext();
  await spool.take({ poolDirectory: host.pool, state, isVarsRedacted: true }, context);
  const settings = { ...host.settings, own: smallOwnSettings, restTries: 1 };
  const jobs = new SpooledJobs(spool, settings, context);
  await jobs.load();
  const free = Promise.withResolvers<void>();
  const connection = { client, host: client.host, sendStatusNow: free.resolve } as unknown as Connection;
  jobs.deliver(connection);
  return { jobs, connection, asked, free: free.promise, lines: context.lines };
}

const away = () => Promise.reject(new ApiError("Connection error: Connection refused", undefined));

test("a try goes on where the one before has got to: nothing is sent again, and the end only after asking", async () => {
  await using host = await JobHost.make({ "pool/1/video.ogv": "OggS" });
  let isFirstEnd = true;
  const { asked, free, jobs } = await spooled(host, ({ path }) => {
    if (path === "jobs/12") return { job: { state: isFirstEnd ? "uploading" : "done", result: "passed" } };
    if (!path.endsWith("/set_done") || !isFirstEnd) return {};
    isFirstEnd = false;
    return away();
  });
  await free;
  expect(asked.filter((each) => each.endsWith("/artefact"))).toHaveLength(3);
  expect(asked.filter((each) => each.endsWith("/set_done"))).toHaveLength(1);
  await jobs.stop();
});

test("a web UI that is still away is asked once at each try, not for each file", async () => {
  await using host = await JobHost.make({
    "pool/1/video.ogv": "OggS",
    "pool/1/ulogs/a": "a",
    "pool/1/ulogs/b": "b",
  });
  let triesAway = 3;
  const { asked, free, jobs } = await spooled(host, () =>
    triesAway-- > 0 ? away() : { job: { state: "running" } },
  );
  await free;
  expect(asked.slice(0, 4)).toEqual(["GET jobs/12", "GET jobs/12", "GET jobs/12", "GET jobs/12"]);
  expect(asked[4]).toBe("POST jobs/12/artefact");
  await jobs.stop();
});

test("what is delivered is off the list, although somebody looks what waits meanwhile", async () => {
  await using host = await JobHost.make();
  const { promise: looked, resolve } = Promise.withResolvers<void>();
  const { jobs, connection, free } = await spooled(host, async ({ path }) => {
    if (path.endsWith("/set_done")) await looked;
    return {};
  });
  await jobs.load();
  resolve();
  await free;
  expect(jobs.idsOf(connection.host.name)).toEqual([]);
  await jobs.stop();
});

test("what waits for a host that is not configured any more is named", async () => {
  await using host = await JobHost.make();
  const { free, jobs, lines } = await spooled(host, () => ({}));
  jobs.warnOfUnserved();
  expect(lines.join("\n")).toMatch(
    /The end of job 12 waits in \S+ for double, which is no web UI host of this slot/,
  );
  await free;
  await jobs.stop();
});

test("what cannot be removed is tried again, and not told again", async () => {
  await using host = await JobHost.make();
  let isFirst = true;
  const { asked, free, jobs, lines } = await spooled(
    host,
    ({ path }) => (path === "jobs/12" ? { job: { state: "done", result: "passed" } } : {}),
    {
      rename: async (from, to) => {
        if (isFirst && String(to).includes("/removed/")) {
          isFirst = false;
          throw new Error("EROFS: read-only file system");
        }
        await spoolDisk.rename(from, to);
      },
    },
  );
  await free;
  expect(asked.filter((each) => each.endsWith("/set_done"))).toHaveLength(1);
  expect(lines.join("\n")).toContain("EROFS");
  await jobs.stop();
});
