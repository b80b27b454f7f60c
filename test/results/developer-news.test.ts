import { expect, test } from "bun:test";
import { DeveloperNews, uploadProgress } from "../../src/results/developer-news.ts";
import type { UploadProgress } from "../../src/webui/jobs-api.ts";
import { recordingContext, refusal, settingsWith, WebUiDouble } from "./web-ui-double.ts";

const news = (up_to: string | null, current: 0 | 1 | null, images = 0, files = 0): UploadProgress => ({
  upload_up_to: up_to,
  upload_up_to_current_module: current,
  outstanding_images: images,
  outstanding_files: files,
});

test.each<[string, string | undefined, string, [number, number], UploadProgress]>([
  ["nothing was sent", undefined, "boot", [0, 0], news(null, null)],
  ["a module has ended", "boot", "shell", [1, 2], news("boot", 0, 1, 2)],
  ["the last module has ended", "shell", "", [0, 0], news("shell", 0)],
  ["paused in a module", "shell", "shell", [0, 3], news("shell", 1, 0, 3)],
])("%s", (_, sentUpTo, currentModule, [images, files], expected) => {
  const report = { sentUpTo, progress: { currentModule, sentModules: [] } };
  expect(uploadProgress(report, { images, files })).toEqual(expected);
});

function newsFor(ui: WebUiDouble): DeveloperNews {
  // The double stands for the live view handler as well.
  const webUi = { ...ui.client(), servicePortDelta: 0 };
  return new DeveloperNews({ webUi, jobId: "12", poolDirectory: "/nowhere", settings: settingsWith() });
}

const told = (ui: WebUiDouble) => ui.requests.map(({ json }) => json);

test("goes to the live view handler, and only what has changed", async () => {
  await using ui = new WebUiDouble();
  const developers = newsFor(ui);
  for (const each of [news(null, null), news(null, null), news("a", 0), news(null, null)]) {
    developers.tell(each, recordingContext());
    await developers.settled();
  }
  expect(ui.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(
    Array(3).fill("POST /liveviewhandler/api/v1/jobs/12/upload_progress"),
  );
  expect(told(ui)).toEqual([{ ...news(null, null) }, { ...news("a", 0) }, { ...news(null, null) }]);
});

test("while the handler does not answer, only the latest news wait", async () => {
  const released = Promise.withResolvers<Response>();
  await using ui = new WebUiDouble(() => (ui.requests.length === 1 ? released.promise : undefined));
  const developers = newsFor(ui);
  for (const files of [5, 4, 3, 2]) developers.tell(news("a", 1, 0, files), recordingContext());
  await ui.until(({ requests }) => requests.length === 1);
  developers.tell(news("a", 1, 0, 0), recordingContext());
  released.resolve(new Response("OK"));
  await developers.settled();
  expect(told(ui)).toEqual([{ ...news("a", 1, 0, 5) }, { ...news("a", 1, 0, 0) }]);
});

test.each([
  ["is away for all tries: told with the next round", 503, 3 + 1],
  ["refuses: not told again", 404, 1],
])("a handler that %s", async (_, code, requests) => {
  let isBroken = true;
  await using ui = new WebUiDouble(() => (isBroken ? refusal(code, "no") : undefined));
  const developers = newsFor(ui);
  developers.tell(news("a", 1), recordingContext());
  await developers.settled();
  isBroken = false;
  developers.tell(news("a", 1), recordingContext());
  await developers.settled();
  expect(ui.requests).toHaveLength(requests);
});

test("nothing of it goes into the reason of the job", async () => {
  await using ui = new WebUiDouble(() => refusal(500, "no"));
  const webUi = { ...ui.client(), servicePortDelta: 0 };
  const settings = settingsWith();
  const developers = new DeveloperNews({ webUi, jobId: "12", poolDirectory: "/nowhere", settings });
  developers.tell(news("a", 1), recordingContext());
  await developers.settled();
  expect(webUi.errors.text()).toBeUndefined();
});

test("telling ends at once when the job is stopped", async () => {
  await using ui = new WebUiDouble(() => new Promise<Response>(() => {}));
  const developers = newsFor(ui);
  const stop = new AbortController();
  developers.tell(news("a", 1), recordingContext(stop.signal));
  developers.tell(news("b", 1), recordingContext(stop.signal));
  await ui.until(({ requests }) => requests.length === 1);
  stop.abort();
  await developers.settled();
  expect(ui.requests).toHaveLength(1);
});
