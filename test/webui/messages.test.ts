import { expect, test } from "bun:test";
import { acceptedMessage, parseServerMessage, rejectedMessage } from "../../src/webui/messages.ts";
import debian2023 from "../fixtures/recorded/debian-2023.json";
import git2026 from "../fixtures/recorded/git-2026.json";

const limits = { maxJobMessageBytes: 100_000 };
const parse = (message: unknown) =>
  parseServerMessage(typeof message === "string" ? message : JSON.stringify(message), limits);
const settings = { NAME: "00000012-x", JOBTOKEN: "t" };
const job = (id: unknown, more: object = {}) => ({ id, settings, ...more });

test.each([
  ["", /^no JSON object/],
  ["{\n", /^no JSON object: "\{\\n"$/],
  ["[]", /^no JSON object/],
  ["null", /^no JSON object/],
  ['"grab_job"', /^no JSON object/],
  ["<html>".repeat(1000), /^.{10,130}$/],
  ["[".repeat(1_000_000), /^no JSON object/],
  [{}, /^message without a type$/],
  [{ type: 5 }, /^message without a type$/],
  [{ type: "cancel" }, /^cancel without a job id$/],
  [{ type: "cancel", jobid: "../x" }, /^cancel without a job id$/],
  [{ type: "livelog_start", jobid: -1 }, /^livelog_start without a job id$/],
  [{ type: "grab_job" }, /^grab_job without a job id$/],
  [{ type: "grab_job", job: "12" }, /^grab_job without a job id$/],
  [{ type: "grab_job", job: { settings } }, /^grab_job without a job id$/],
  [{ type: "grab_job", job: job(1.5) }, /^grab_job without a job id$/],
  [{ type: "grab_jobs" }, /^grab_jobs without job data$/],
  [{ type: "grab_jobs", job_info: { data: [], sequence: [] } }, /^grab_jobs without job data$/],
  [{ type: "grab_jobs", job_info: { data: { 1: job(2) }, sequence: [1] } }, /^grab_jobs with job 2 as 1$/],
])("bad message %# is invalid", (message, why) => {
  expect(parse(message)).toEqual({ kind: "invalid", why: expect.stringMatching(why) });
});

test.each([
  [{ result: 1 }, { kind: "answer" }],
  [{ result: null, type: "info" }, { kind: "answer" }],
  [{ type: "nonsense" }, { kind: "unknown", type: "nonsense" }],
  [{ type: "incompatible" }, { kind: "incompatible" }],
  [
    { type: "info", seen: 1 },
    { kind: "info", seen: true },
  ],
  [
    { type: "info", population: 3 },
    { kind: "info", seen: false },
  ],
  [
    { type: "cancel", jobid: 12 },
    { kind: "stop", type: "cancel", jobId: "12" },
  ],
  [
    { type: "obsolete", jobid: "12" },
    { kind: "stop", type: "obsolete", jobId: "12" },
  ],
  [
    { type: "abort", jobid: 12 },
    { kind: "stop", type: "abort", jobId: "12" },
  ],
  [
    { type: "quit", jobid: 12 },
    { kind: "stop", type: "quit", jobId: "12" },
  ],
  [
    { type: "livelog_stop", jobid: 12 },
    { kind: "live", type: "livelog_stop", jobId: "12" },
  ],
  [
    { type: "developer_session_start", jobid: 12 },
    { kind: "live", type: "developer_session_start", jobId: "12" },
  ],
])("%j is understood", (message, parsed) => expect(parse(message)).toEqual(parsed as never));

test("a job is kept as it came, beside its checked settings", () => {
  const received = { id: 12, settings: { A: "1", NUMBER: 2.5 }, odd: { x: [null] } };
  expect(parse({ type: "grab_job", job: received })).toEqual({
    kind: "grab_job",
    job: { id: "12" as never, settings: { A: "1", NUMBER: "2.5" }, received },
  });
});

test.each([
  [undefined, "it has no settings"],
  [null, "it has no settings"],
  ["A=1", "it has no settings"],
  [["A"], "it has no settings"],
  [{ A: "1", B: null }, "setting B is no text"],
  [{ B: { C: "1" } }, "setting B is no text"],
  [{ B: true }, "setting B is no text"],
  [{ B: ["1"] }, "setting B is no text"],
])("settings %j make the job invalid", (bad, what) => {
  const why = `the provided job is invalid: ${what}`;
  expect(parse({ type: "grab_job", job: { id: 12, settings: bad } })).toEqual({
    kind: "invalid-job",
    jobIds: ["12"] as never,
    why,
  });
});

test("a setting named __proto__ changes no prototype", () => {
  const parsed = parse(
    '{"type":"grab_job","job":{"id":1,"settings":{"__proto__":{"POLLUTED":"1"},"A":"1"}}}',
  );
  expect(({} as Record<string, unknown>)["POLLUTED"]).toBe(undefined);
  if (parsed.kind === "grab_job") expect(parsed.job.settings["POLLUTED"]).toBe(undefined);
});

const jobInfo = (sequence: unknown, data: object = { 1: job(1), 2: job("2"), 3: job(3) }) => ({
  type: "grab_jobs",
  job_info: { ids: ["1", "2", "3"], data, sequence, assigned_worker_id: 2 },
});

test("queued jobs come with their sequence, ids as text", () => {
  const parsed = parse(jobInfo([1, ["2", 3]]));
  expect(parsed).toMatchObject({ kind: "grab_jobs", sequence: ["1", ["2", "3"]] } as never);
});

let chain: unknown = [1];
for (let depth = 0; depth < 1000; depth++) chain = [1, chain];
test.each([
  [jobInfo(undefined), "job info lacks execution sequence"],
  [jobInfo({ 1: 2 }), "job info lacks execution sequence"],
  [jobInfo([1, [4]]), "job data for job 4 is missing"],
  [jobInfo([1, [null]]), "execution sequence is invalid"],
  [jobInfo(chain), "execution sequence is invalid"],
  [jobInfo([1], { 1: job(1), 2: { id: 2 }, 3: "x" }), "the provided job is invalid"],
])("queue %# is rejected as a whole: %s", (message, why) => {
  expect(parse(message)).toEqual({ kind: "invalid-job", jobIds: ["1", "2", "3"] as never, why });
});

test("jobs in a message above the limit are named with its size", () => {
  const big = { type: "grab_job", job: job(12, { settings: { A: "ä".repeat(50_000) } }) };
  const sizeBytes = Buffer.byteLength(JSON.stringify(big));
  expect(parse(big)).toEqual({ kind: "oversized-job", jobIds: ["12"] as never, sizeBytes });
  const bigInvalid = { type: "grab_job", job: { id: 12, x: "x".repeat(200_000) } };
  expect(parse(bigInvalid)).toMatchObject({ kind: "oversized-job", jobIds: ["12"] as never });
  const bigQueue = jobInfo([1], { 1: job(1), 7: job(7, { x: "x".repeat(200_000) }) });
  expect(parse(bigQueue)).toMatchObject({ kind: "oversized-job", jobIds: ["1", "7"] as never });
  expect(parse({ type: "info", x: "x".repeat(200_000) })).toEqual({ kind: "info", seen: false });
});

test("job ids go out as numbers", () => {
  expect(acceptedMessage("12")).toEqual({ type: "accepted", jobid: 12 });
  expect(rejectedMessage(["12", "13"], "no")).toEqual({ type: "rejected", job_ids: [12, 13], reason: "no" });
});

const kinds: Record<string, string> = {
  grab_job: "grab_job",
  grab_jobs: "grab_jobs",
  info: "info",
  cancel: "stop",
  livelog_start: "live",
  livelog_stop: "live",
  developer_session_start: "live",
};
const recorded: { type: string }[] = [...debian2023.messages, ...git2026.messages];
test.each(recorded.map((message) => [message.type, message] as const))(
  "recorded %s is understood",
  (type, message) => {
    const parsed = parse(message);
    expect(parsed.kind).toBe(kinds[type] as never);
    if (parsed.kind === "grab_job" && "job" in message)
      expect(parsed.job.received).toEqual(message.job as never);
  },
);
