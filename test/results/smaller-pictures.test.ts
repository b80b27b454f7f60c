// Uploads of pictures for which there is, or will be, a smaller copy.
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdir, symlink } from "node:fs/promises";
import { abortable } from "../../src/abortable.ts";
import { Audience } from "../../src/results/audience.ts";
import type { PictureSource } from "../../src/results/picture-source.ts";
import { Reporter } from "../../src/results/reporter.ts";
import { TemporaryPool } from "./temporary-pool.ts";
import { field, fileOf, recordingContext, refusal, settingsWith, WebUiDouble } from "./web-ui-double.ts";

const fixed = { worker_id: 7, cmd_srv_url: "", worker_hostname: "host" };
const picture = "testresults/a.png";
const thumbnail = "testresults/.thumbs/a.png";
const md5 = createHash("md5").update("a").digest("hex");

/** Two modules, the first of which has ended: it has a picture and a text. */
const files = {
  "testresults/test_order.json": ["boot", "shell"].map((name) => ({
    name,
    category: "tests",
    script: "tests/x.pm",
    flags: {},
  })),
  "testresults/result-boot.json": {
    result: "ok",
    dents: 0,
    details: [{ screenshot: "a.png" }, { text: "b.txt" }],
  },
  "testresults/result-shell.json": { result: "ok", dents: 0, details: [] },
  "autoinst-status.json": { status: "running", current_test: "shell", test_execution_paused: 0 },
  [picture]: "a",
  [thumbnail]: "t",
  "testresults/b.txt": "b",
  "copies/a.png": "smaller a",
  "copies/t.png": "smaller t",
};

/** Tells of copies when the test does. */
class PlayedPictures implements PictureSource {
  readonly asked: string[] = [];
  readonly confirmed: string[] = [];
  private readonly answers = new Map<string, PromiseWithResolvers<string>>();

  smallest(inPool: string, signal: AbortSignal): Promise<string> {
    this.asked.push(inPool);
    return abortable(this.of(inPool).promise, signal);
  }

  uploaded(inPool: string): void {
    this.confirmed.push(inPool);
  }

  tell(inPool: string, copy: string): void {
    this.of(inPool).resolve(copy);
  }

  tellAll(): this {
    this.tell(picture, "copies/a.png");
    this.tell(thumbnail, "copies/t.png");
    return this;
  }

  private of(inPool: string): PromiseWithResolvers<string> {
    const answer = this.answers.get(inPool) ?? Promise.withResolvers<string>();
    this.answers.set(inPool, answer);
    return answer;
  }
}

function reporterFor(ui: WebUiDouble, pool: TemporaryPool, pictures: PictureSource): Reporter {
  return new Reporter({
    webUi: ui.client(),
    jobId: "12",
    poolDirectory: pool.directory,
    settings: settingsWith({}, { parallelUploads: 1 }),
    fixed,
    audience: new Audience(),
    reported: { currentModule: "boot", sentModules: [] },
    pictures,
  });
}

const isPicture = (upload: string) => upload.startsWith("a.png");

/** Content of what went up, in order. */
function contents(ui: WebUiDouble): string[] {
  return ui.requests
    .filter(({ path }) => path.endsWith("/artefact"))
    .map((request) => fileOf(request).bytes.toString());
}

test("copies go up under the name and md5 of the original, the thumbnail first; each is confirmed", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make(files);
  const pictures = new PlayedPictures().tellAll();
  expect(await reporterFor(ui, pool, pictures).finish(recordingContext())).toBeUndefined();
  expect(ui.uploads.filter(isPicture)).toEqual([
    `a.png image=1 md5=${md5} thumb=1`,
    `a.png image=1 md5=${md5} thumb=0`,
  ]);
  expect(contents(ui).filter((content) => content !== "b")).toEqual(["smaller t", "smaller a"]);
  expect(pictures.confirmed).toEqual([thumbnail, picture]);
});

test("a picture that is still being made smaller takes no lane and delays no post", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make(files);
  const pictures = new PlayedPictures();
  const stop = new AbortController();
  const running = reporterFor(ui, pool, pictures).run(recordingContext(stop.signal));
  await ui.until(({ uploads, posts }) => uploads.length === 1 && posts.length > 3);
  expect(contents(ui)).toEqual(["b"]);
  expect(pictures.asked.toSorted()).toEqual([thumbnail, picture]);
  pictures.tellAll();
  await ui.until(({ uploads }) => uploads.length === 3);
  stop.abort();
  await running;
  expect(contents(ui)).toEqual(["b", "smaller t", "smaller a"]);
});

test("when the run ends, those that are still being made smaller do not hold it up; they go up at the end", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make(files);
  const pictures = new PlayedPictures();
  const reporter = reporterFor(ui, pool, pictures);
  const stop = new AbortController();
  const running = reporter.run(recordingContext(stop.signal));
  await ui.until(({ uploads }) => uploads.length === 1);
  const startMs = performance.now();
  stop.abort();
  expect(await running).toEqual({ why: "aborted" });
  expect(performance.now() - startMs).toBeLessThan(1000);
  expect(contents(ui)).toEqual(["b"]);
  pictures.tell(picture, picture);
  pictures.tell(thumbnail, "copies/t.png");
  expect(await reporter.finish(recordingContext())).toBeUndefined();
  expect(contents(ui)).toEqual(["b", "smaller t", "a"]);
});

test("a copy that is not there any more, or has become a trap, is replaced by the original", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make(files);
  await mkdir(pool.path("traps"));
  await symlink(`${pool.outside}/secret`, pool.path("traps/a.png"));
  const pictures = new PlayedPictures();
  pictures.tell(thumbnail, "copies/missing.png");
  pictures.tell(picture, "traps/a.png");
  expect(await reporterFor(ui, pool, pictures).finish(recordingContext())).toBeUndefined();
  expect(contents(ui).filter((content) => content !== "b")).toEqual(["t", "a"]);
});

test("a picture that the server refuses is not confirmed", async () => {
  await using ui = new WebUiDouble((request) =>
    field(request, "thumb") === "1" ? refusal(400, "no") : undefined,
  );
  await using pool = await TemporaryPool.make(files);
  const pictures = new PlayedPictures().tellAll();
  const failure = await reporterFor(ui, pool, pictures).finish(recordingContext());
  expect(failure?.text).toContain("Error uploading a.png");
  expect(pictures.confirmed).toEqual([]);
});

test("where the server takes nothing for the job any more, no picture is waited for", async () => {
  await using ui = new WebUiDouble(({ path }) =>
    path.endsWith("/artefact") ? refusal(404, "No worker assigned") : undefined,
  );
  await using pool = await TemporaryPool.make(files);
  const failure = await reporterFor(ui, pool, new PlayedPictures()).finish(recordingContext());
  expect(failure?.error.message).toContain("No worker assigned");
});
