import { expect, test } from "bun:test";
import { ApiError } from "../../src/errors.ts";
import { deliverEnd } from "../../src/job/deliver-end.ts";
import { JobRecord, newJobState } from "../../src/job/job-record.ts";
import { grabJob } from "../../src/webui/job-offers.ts";
import type { RestRequest, WebUi } from "../../src/webui/web-ui.ts";
import { WebUiDouble } from "../results/web-ui-double.ts";
import { JobHost, recordingContext } from "./job-host.ts";

test("whatever breaks at the uploads, the job ends incomplete and the web UI is told (field lesson 1)", async () => {
  await using host = await JobHost.make({ "pool/1/autoinst-log.txt": "log\n" });
  await using double = new WebUiDouble();
  const asked: RestRequest[] = [];
  const webUi: WebUi = {
    ...double.client(),
    call: async (request) => {
      asked.push(request);
      return { status: 200, body: { result: "incomplete" } };
    },
  };
  const offer = grabJob({ id: 12, settings: {} });
  if (offer.kind !== "grab_job") throw new Error(`the offer is ${offer.kind}`);
  const context = recordingContext();
  const record = new JobRecord(host.pool, newJobState(offer.job, webUi), context.log);
  const jobLog = { announceUpload: () => Promise.reject(new Error("broken")), lineCount: () => 0 };
  const ended = { jobId: "12", webUi, settings: host.settings, record, jobLog, reporter: undefined };
  const outcome = await deliverEnd(ended, { stopReason: "done" }, context);
  expect(outcome).toEqual({ delivery: "told", isPassed: false });
  expect(asked.at(-1)).toMatchObject({
    path: "jobs/12/set_done",
    query: { result: "incomplete", reason: "exception" },
  });
  expect(context.lines.join("\n")).toContain("[error] Internal error: Error: broken");
});

test.each(["done", "api-failure"] as const)(
  "a job that is scheduled again gets no end of stop reason %s, which could come when it has been assigned anew",
  async (stopReason) => {
    await using host = await JobHost.make();
    await using double = new WebUiDouble();
    const ends: string[] = [];
    const webUi: WebUi = {
      ...double.client(),
      call: async ({ path }) => {
        if (!path.endsWith("/set_done")) return { status: 200, body: { job: { state: "scheduled" } } };
        ends.push(path);
        throw new ApiError("503 response: Service Unavailable", 503);
      },
    };
    const offer = grabJob({ id: 12, settings: {} });
    if (offer.kind !== "grab_job") throw new Error(`the offer is ${offer.kind}`);
    const context = recordingContext();
    const record = new JobRecord(host.pool, newJobState(offer.job, webUi), context.log);
    const jobLog = { announceUpload: async () => {}, lineCount: () => 0 };
    const ended = { jobId: "12", webUi, settings: host.settings, record, jobLog, reporter: undefined };
    expect(await deliverEnd(ended, { stopReason }, context)).toMatchObject({ delivery: "refused" });
    // The first one of "done" went out before anything was known.
    expect(ends).toHaveLength(stopReason === "done" ? 1 : 0);
  },
);
