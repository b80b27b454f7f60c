import { expect, test } from "bun:test";
import * as api from "../../src/webui/jobs-api.ts";
import type { RestClient } from "../../src/webui/rest-client.ts";
import debian2023 from "../fixtures/recorded/debian-2023.json";
import git2026 from "../fixtures/recorded/git-2026.json";
import { answer, clientFor, reset, type TestContext, testContext, WebUiDoor } from "./web-ui-door.ts";

type Call = (client: RestClient, context: TestContext) => Promise<unknown>;

async function called(call: Call, body = "{}") {
  await using server = await WebUiDoor.open(answer(200, body));
  const client = clientFor(server.url);
  client.workerId = 7;
  const context = testContext();
  const answered = await call(client, context);
  const [request] = server.requests;
  return { answered, line: request!.line.replace(" HTTP/1.1", ""), body: request!.body.toString(), context };
}

test.each<[string, Call, string, string]>([
  [
    "a status",
    (ui, ctx) => api.postStatus(ui, "12", { result: {}, worker_id: 0 }, ctx),
    "POST /api/v1/jobs/12/status",
    '{"status":{"result":{},"worker_id":7}}',
  ],
  [
    "uploading",
    (ui, ctx) => api.postUploading(ui, "12", ctx),
    "POST /api/v1/jobs/12/status",
    '{"status":{"uploading":1,"worker_id":7}}',
  ],
  [
    "a duplicate",
    (ui, ctx) => api.duplicateJob(ui, "12", ctx),
    "POST /api/v1/jobs/12/duplicate?dup_type_auto=1",
    "",
  ],
  ["done", (ui, ctx) => api.setDone(ui, "12", {}, ctx), "POST /api/v1/jobs/12/set_done?worker_id=7", ""],
  [
    "done with all there is",
    (ui, ctx) => api.setDone(ui, "12", { result: "incomplete", reason: "a: b", newbuild: true }, ctx),
    "POST /api/v1/jobs/12/set_done?worker_id=7&result=incomplete&reason=a%3A+b&newbuild=1",
    "",
  ],
  [
    "the progress of uploads",
    (ui, ctx) => {
      ui.servicePortDelta = 0;
      const counts = { outstanding_images: 1, outstanding_files: 2 };
      const progress = { upload_up_to: "boot", upload_up_to_current_module: 1, ...counts } as const;
      return api.postUploadProgress(ui, "12", progress, ctx);
    },
    "POST /liveviewhandler/api/v1/jobs/12/upload_progress",
    '{"upload_up_to":"boot","upload_up_to_current_module":1,"outstanding_images":1,"outstanding_files":2}',
  ],
])("%s goes out as the server expects it", async (_name, call, line, body) => {
  expect(await called(call)).toMatchObject({ line, body });
});

test("set_done has one try, and is not remembered as an error", async () => {
  await using server = await WebUiDoor.open(answer("503 Busy"));
  const client = clientFor(server.url);
  const context = testContext();
  await expect(api.setDone(client, "12", {}, context)).rejects.toThrow("503 response: Busy");
  expect(server.requests).toHaveLength(1);
  expect(client.errors.text()).toBe(undefined);
  expect(context.entries.map(({ level }) => level)).toEqual(["error"]);
});

test("the progress of uploads goes to the port of the live view handler, and is not remembered as an error", async () => {
  await using server = await WebUiDoor.open(answer(404, "{}"));
  const client = clientFor(server.url);
  client.servicePortDelta = 2;
  const context = testContext();
  const counts = { outstanding_images: 0, outstanding_files: 0 };
  const progress = { upload_up_to: null, upload_up_to_current_module: null, ...counts };
  await expect(api.postUploadProgress(client, "12", progress, context)).rejects.toThrow("Connection error");
  expect(server.requests).toEqual([]);
  expect(client.errors.text()).toBeUndefined();
  expect(context.entries.at(-1)?.text).toContain(`:${Number(new URL(server.url).port) + 2}/liveviewhandler/`);
});

test("a status that never arrives is remembered", async () => {
  await using server = await WebUiDoor.open(reset);
  const client = clientFor(server.url);
  await expect(api.postStatus(client, "12", {}, testContext())).rejects.toThrow("Connection error");
  expect(client.errors.text()).toBe("Connection error: Premature connection close");
});

test.each([
  ['{"result":1}', { result: 1, knownImages: [], knownFiles: [], jobResult: undefined }],
  ['{"result":"","known_images":null,"known_files":[5]}', { result: "", knownImages: [], knownFiles: [] }],
  ['{"known_images":["a"],"known_files":["b"]}', { knownImages: ["a"], knownFiles: ["b"] }],
])("status answer %s", async (body, parsed) => {
  const { answered } = await called((ui, ctx) => api.postStatus(ui, "12", {}, ctx), body);
  expect(answered).toMatchObject(parsed);
});

test("a job is shown with state, result and reason; an answer without state is an error", async () => {
  const get: Call = (ui, ctx) => api.getJob(ui, "12", ctx);
  const job = { id: 12, state: "done", result: "passed", reason: null };
  const { answered, line } = await called(get, JSON.stringify({ job }));
  expect(line).toBe("GET /api/v1/jobs/12");
  expect(answered).toEqual({ state: "done", result: "passed", reason: undefined });
  await expect(called(get, '{"job":{}}')).rejects.toThrow("200 response: ");
});

const calls = [...debian2023.calls, ...git2026.calls];
const recorded = (what: string) =>
  calls
    .filter(({ call }) => call.includes(what))
    .map((each) => [each.call, JSON.stringify(each.answer)] as const);

test.each(recorded("/status"))("recorded answer to %s: %s", async (_call, body) => {
  const { answered } = await called((ui, ctx) => api.postStatus(ui, "12", {}, ctx), body);
  const { result, known_images: knownImages = [], known_files: knownFiles = [] } = JSON.parse(body);
  expect(answered).toMatchObject({ result, knownImages, knownFiles });
});
test.each(recorded("/set_done"))("recorded answer to %s: %s", async (_call, body) => {
  const { answered } = await called((ui, ctx) => api.setDone(ui, "12", {}, ctx), body);
  expect(answered).toEqual({ result: JSON.parse(body).result });
});
test.each(recorded("/duplicate"))("recorded answer to %s: %s", async (_call, body) => {
  await called((ui, ctx) => api.duplicateJob(ui, "12", ctx), body);
});
