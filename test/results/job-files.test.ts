import { expect, test } from "bun:test";
import { appendFile, rename, symlink, writeFile } from "node:fs/promises";
import { type JobFilesOptions, uploadJobFiles } from "../../src/results/job-files.ts";
import { AssetServer } from "./asset-server.ts";
import { makeFifo, TemporaryPool } from "./temporary-pool.ts";
import {
  type Arrived,
  field,
  fileOf,
  recordingContext,
  refusal,
  settingsWith,
  WebUiDouble,
} from "./web-ui-double.ts";

const logs = { "autoinst-log.txt": "started\n", "worker-log.txt": "started\n" };

function optionsFor(
  ui: WebUiDouble,
  pool: TemporaryPool,
  more: Partial<JobFilesOptions> = {},
): JobFilesOptions {
  return {
    webUi: ui.client(),
    jobId: "12",
    poolDirectory: pool.directory,
    settings: settingsWith(),
    withAssets: true,
    redactVars: async () => {},
    isDelivered: () => false,
    noteDelivered: () => {},
    lineCount: () => 0,
    announce: async (name) => {
      for (const log of Object.keys(logs)) await appendFile(pool.path(log), `Uploading ${name}\n`);
    },
    ...more,
  };
}

function namesOf(requests: readonly Arrived[]): string[] {
  return requests.map((request) => fileOf(request).name);
}

const answerOf = (server: AssetServer) => (request: Arrived) =>
  field(request, "asset") === undefined && request.path.endsWith("/artefact")
    ? undefined
    : server.answer(request);

test("user logs, assets and logs go up under their names, with their fields", async () => {
  const server = new AssetServer();
  await using ui = new WebUiDouble(answerOf(server));
  await using pool = await TemporaryPool.make({
    ...logs,
    "ulogs/b.log": "b",
    "ulogs/a.log": "",
    "ulogs/.hidden": "x",
    "ulogs/sub/c.log": "x",
    "assets_private/p.bin": "p",
    "assets_public/q.iso": "q",
    "video.ogv": "v",
    "video.webm": "v",
    "worker_packages.txt": "w",
    "sut_packages.txt": "s",
    "vars.json": "{}",
    serial0: "serial",
    "video_time.vtt": "t",
    "serial_terminal.txt": "replaced by the next",
    "virtio_console.log": "console",
    "virtio_console1.log": "console1",
    "virtio_console_user.log": "user",
    "job.json": "x",
    "qemu.pid": "x",
    "testresults/boot-1.png": "x",
  });
  expect(await uploadJobFiles(optionsFor(ui, pool), recordingContext())).toEqual([]);
  expect(ui.uploads.toSorted()).toEqual([
    "a.log ulog=1",
    "autoinst-log.txt",
    "b.log ulog=1",
    "p.bin asset=private",
    "q.iso asset=public",
    "serial0.txt",
    "serial_terminal.txt",
    "serial_terminal1.txt",
    "serial_terminal_user.txt",
    "sut_packages.txt",
    "vars.json",
    "video.ogv",
    "video.webm",
    "video_time.vtt",
    "worker-log.txt",
    "worker_packages.txt",
  ]);
  expect([...server.stored.keys()]).toEqual(["other/00000012-p.bin", "iso/q.iso"]);
  const console = ui.requests.find((request) => fileOf(request).name === "serial_terminal.txt");
  expect(console && fileOf(console).bytes.toString()).toBe("console");
});

test("user logs precede assets, private ones public ones", async () => {
  await using ui = new WebUiDouble(answerOf(new AssetServer()));
  await using pool = await TemporaryPool.make({
    ...logs,
    "ulogs/u": "",
    "assets_public/a": "",
    "assets_private/z": "",
    serial0: "",
  });
  await uploadJobFiles(optionsFor(ui, pool), recordingContext());
  const names = namesOf(ui.requests);
  expect(names.filter((name) => ["u", "z", "a"].includes(name))).toEqual(["u", "z", "a"]);
});

test("each upload is announced first; the last line of autoinst-log.txt is its own", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ ...logs, "ulogs/u": "", serial0: "" });
  await uploadJobFiles(optionsFor(ui, pool), recordingContext());
  const autoinst = ui.requests.map(fileOf).find(({ name }) => name === "autoinst-log.txt");
  const lines = autoinst?.bytes.toString().trimEnd().split("\n");
  expect(lines?.toSorted()).toEqual([
    "Uploading autoinst-log.txt",
    "Uploading serial0.txt",
    "Uploading u",
    "Uploading worker-log.txt",
    "started",
  ]);
  expect(lines?.at(-1)).toBe("Uploading autoinst-log.txt");
});

test("the job's own logs do not wait for what is on its way, and go again when lines have come since", async () => {
  let lines = 0;
  let release = () => {};
  const videoMayEnd = new Promise<void>((resolve) => {
    release = resolve;
  });
  const logsArrived: string[] = [];
  await using pool = await TemporaryPool.make({ ...logs, "video.ogv": "v" });
  await using ui = new WebUiDouble(async (request) => {
    const { name, bytes } = fileOf(request);
    if (name === "worker-log.txt") logsArrived.push(bytes.toString());
    if (name !== "video.ogv") {
      if (logsArrived.length === 1) release();
      return undefined;
    }
    await videoMayEnd;
    await appendFile(pool.path("worker-log.txt"), "late\n");
    lines++;
    return undefined;
  });
  const delivered: string[] = [];
  const more = { lineCount: () => lines, noteDelivered: (key: string) => void delivered.push(key) };
  expect(await uploadJobFiles(optionsFor(ui, pool, more), recordingContext())).toEqual([]);
  expect(logsArrived.map((text) => text.includes("late"))).toEqual([false, true]);
  expect(delivered).toEqual(["video.ogv", "worker-log.txt", "autoinst-log.txt"]);
});

test("the job's own logs go twice at most, however many lines come", async () => {
  let lines = 0;
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ ...logs, serial0: "" });
  await uploadJobFiles(optionsFor(ui, pool, { lineCount: () => lines++ }), recordingContext());
  expect(namesOf(ui.requests).toSorted()).toEqual([
    "autoinst-log.txt",
    "autoinst-log.txt",
    "serial0.txt",
    "worker-log.txt",
    "worker-log.txt",
  ]);
});

test("vars.json is redacted before it is read for the upload (field lesson 33)", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ "vars.json": '{"_SECRET_X":"secret"}' });
  const redactVars = async () => {
    await writeFile(pool.path("vars.json.new"), '{"_SECRET_X":"[redacted]"}');
    await rename(pool.path("vars.json.new"), pool.path("vars.json"));
  };
  await uploadJobFiles(optionsFor(ui, pool, { redactVars, announce: async () => {} }), recordingContext());
  expect(ui.requests.map((request) => fileOf(request).bytes.toString())).toEqual([
    '{"_SECRET_X":"[redacted]"}',
  ]);
});

test("vars.json that cannot be redacted stays here, the other logs go up (field lesson 33)", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ ...logs, "vars.json": "{", serial0: "" });
  const redactVars = () => Promise.reject(new Error("not JSON"));
  const context = recordingContext();
  expect(await uploadJobFiles(optionsFor(ui, pool, { redactVars }), context)).toEqual([]);
  expect(namesOf(ui.requests).toSorted()).toEqual(["autoinst-log.txt", "serial0.txt", "worker-log.txt"]);
  expect(context.lines.join()).toContain("Not uploading vars.json");
});

test("without assets none is uploaded", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ "ulogs/u": "", "assets_public/a": "" });
  await uploadJobFiles(
    optionsFor(ui, pool, { withAssets: false, announce: async () => {} }),
    recordingContext(),
  );
  expect(namesOf(ui.requests)).toEqual(["u"]);
});

const failing = {
  ...logs,
  "ulogs/1": "",
  "ulogs/2": "",
  "ulogs/3": "",
  "assets_public/a": "",
  "assets_public/b": "",
  serial0: "",
};
const oneAtATime = settingsWith({}, { parallelUploads: 1 });
test.each([
  ["1", "ulogs", ["1", "serial0.txt", "autoinst-log.txt", "worker-log.txt"]],
  ["a", "assets", ["1", "2", "3", "a", "serial0.txt", "autoinst-log.txt", "worker-log.txt"]],
  ["serial0.txt", "logs", ["1", "2", "3", "a", "b", "serial0.txt", "autoinst-log.txt", "worker-log.txt"]],
  [
    "autoinst-log.txt",
    "logs",
    ["1", "2", "3", "a", "b", "serial0.txt", "worker-log.txt", "autoinst-log.txt"],
  ],
] as const)("a failed upload of %s ends its group, %s", async (name, group, arrived) => {
  await using ui = new WebUiDouble((request) => {
    if (fileOf(request).name === name) return refusal(400, "no");
    return field(request, "asset") === undefined ? undefined : Response.json({ status: "ok" });
  });
  await using pool = await TemporaryPool.make(failing);
  const failures = await uploadJobFiles(optionsFor(ui, pool, { settings: oneAtATime }), recordingContext());
  expect(failures).toMatchObject([{ group, name, error: { message: "400 response: no" } }]);
  const uploaded = namesOf(ui.requests).filter((name) => name !== "");
  expect([...new Set(uploaded)].toSorted()).toEqual(arrived.toSorted());
});

test("nothing more is sent once the server has given the job up", async () => {
  await using ui = new WebUiDouble(() => refusal(404, "No worker assigned"));
  await using pool = await TemporaryPool.make(failing);
  const failures = await uploadJobFiles(optionsFor(ui, pool, { settings: oneAtATime }), recordingContext());
  expect(failures.length).toBeGreaterThan(0);
  expect(namesOf(ui.requests)).not.toContain("autoinst-log.txt");
  expect(namesOf(ui.requests).length).toBeLessThanOrEqual(2);
});

test("nothing goes on afterwards when the server has given the job up: the files may be moved then", async () => {
  const order: string[] = [];
  const returned = Promise.withResolvers<void>();
  await using ui = new WebUiDouble(async (request) => {
    if (fileOf(request).name === "1") return refusal(404, "No worker assigned");
    await Promise.race([returned.promise, Bun.sleep(100)]);
    order.push("answered");
    return undefined;
  });
  await using pool = await TemporaryPool.make({ "ulogs/1": "1", serial0: "serial" });
  await uploadJobFiles(optionsFor(ui, pool, { settings: oneAtATime }), recordingContext());
  order.push("returned");
  returned.resolve();
  expect(order).toEqual(["answered", "returned"]);
});

test("links, FIFOs and folders are not uploaded, and nothing comes from a folder that is a link", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ "ulogs/good": "", "video.d/x": "" });
  await symlink(`${pool.outside}/secret`, pool.path("ulogs/link"));
  await makeFifo(pool.path("ulogs/fifo"));
  await symlink(pool.outside, pool.path("assets_public"));
  await symlink(`${pool.outside}/secret`, pool.path("serial0"));
  await symlink(`${pool.outside}/secret`, pool.path("autoinst-log.txt"));
  const context = recordingContext();
  expect(await uploadJobFiles(optionsFor(ui, pool, { announce: async () => {} }), context)).toEqual([]);
  expect(ui.uploads).toEqual(["good ulog=1"]);
  expect(context.lines.join()).toContain("Not uploading from assets_public");
});

test("an empty pool has nothing to upload", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make();
  const announced: string[] = [];
  const announce = async (name: string) => void announced.push(name);
  expect(await uploadJobFiles(optionsFor(ui, pool, { announce }), recordingContext())).toEqual([]);
  expect(ui.requests).toEqual([]);
  expect(announced).toEqual([]);
});

test("the uploads can be cut off at any moment", async () => {
  const stop = new AbortController();
  await using ui = new WebUiDouble(() => {
    stop.abort(new Error("deadline"));
    return new Promise<Response>(() => {});
  });
  await using pool = await TemporaryPool.make(failing);
  await expect(uploadJobFiles(optionsFor(ui, pool), recordingContext(stop.signal))).rejects.toThrow(
    "deadline",
  );
});
