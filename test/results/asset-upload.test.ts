import { expect, test } from "bun:test";
import { truncateSync } from "node:fs";
import { chmod, stat, symlink } from "node:fs/promises";
import type { Settings } from "../../src/config/settings.ts";
import { ApiError } from "../../src/errors.ts";
import type { UploadTarget } from "../../src/results/artefact.ts";
import { chunkCount, chunkRetryDelayMs, mustStartOver } from "../../src/results/asset-chunks.ts";
import { assetPath } from "../../src/results/asset-presence.ts";
import { uploadAsset } from "../../src/results/asset-upload.ts";
import { PoolFileError } from "../../src/results/pool-file.ts";
import { AssetServer, chunksOf } from "./asset-server.ts";
import { TemporaryPool } from "./temporary-pool.ts";
import {
  type Arrived,
  field,
  fileOf,
  recordingContext,
  refusal,
  settingsWith,
  WebUiDouble,
} from "./web-ui-double.ts";

const content = Buffer.from(Array.from({ length: 2500 }, (_, at) => (at * 7) % 256));
const disk = { name: "disk.qcow2", scope: "public" } as const;
const diskPath = "hdd/disk.qcow2";

function targetFor(
  ui: WebUiDouble,
  pool: TemporaryPool,
  upload: Partial<Settings["upload"]> = {},
): UploadTarget {
  return { webUi: ui.client(), jobId: "12", poolDirectory: pool.directory, settings: settingsWith(upload) };
}

/** The first chunks with this index meet the fault, the others the server. */
function faulty(
  server: AssetServer,
  index: number,
  times: number,
  fault: (request: Arrived) => Response | Promise<Response>,
) {
  let left = times;
  return (request: Arrived) =>
    chunksOf([request]).startsWith(`${index}/`) && left-- > 0 ? fault(request) : server.answer(request);
}

const noDelay = async () => {};

test.each([
  ["three chunks", content, "1/3 2/3 3/3"],
  ["exactly two", content.subarray(0, 2000), "1/2 2/2"],
  ["one", content.subarray(0, 10), "1/1"],
  ["an empty file, in one record", Buffer.alloc(0), "1/1"],
])("%s arrive in order and make up the file", async (_, bytes, chunks) => {
  const server = new AssetServer();
  await using ui = new WebUiDouble(server.answer);
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": bytes });
  expect(await uploadAsset(targetFor(ui, pool), disk, recordingContext())).toBe(true);
  expect(chunksOf(ui.requests)).toBe(chunks);
  expect(server.stored.get(diskPath)?.bytes.equals(bytes)).toBe(true);
});

test("a private asset goes as private", async () => {
  const server = new AssetServer();
  await using ui = new WebUiDouble(server.answer);
  await using pool = await TemporaryPool.make({ "assets_private/a.txt": "x" });
  await uploadAsset(targetFor(ui, pool), { name: "a.txt", scope: "private" }, recordingContext());
  expect([...server.stored.keys()]).toEqual(["other/00000012-a.txt"]);
});

const once: Readonly<Record<string, () => Response>> = {
  "a failed check": () => refusal(500, "Failed receiving asset: Can't verify written data from chunk"),
  "a refusal": () => refusal(403, "Not authorized"),
  "a web UI that restarts": () => refusal(502, "Bad Gateway"),
  "an answer that is none": () => new Response("<html>Welcome</html>"),
};
test.each(Object.entries(once))("after %s only that chunk is sent again", async (_, fault) => {
  const server = new AssetServer();
  await using ui = new WebUiDouble(faulty(server, 2, 2, fault));
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  const context = recordingContext();
  const delays: number[] = [];
  const noted = async (ms: number) => void delays.push(ms);
  const target = targetFor(ui, pool, { firstChunkRetryDelayMs: 5000 });
  await uploadAsset(target, disk, context, noted);
  expect(chunksOf(ui.requests)).toBe("1/3 2/3 2/3 2/3 3/3");
  expect(server.stored.get(diskPath)?.bytes.equals(content)).toBe(true);
  expect(delays.map((ms) => Math.floor(ms / 1000))).toEqual([5, 6]);
  const logged = context.lines.filter((line) =>
    line.startsWith("warn Error uploading disk.qcow2, chunk 2/3: "),
  );
  expect(logged.map((line) => line.slice(line.lastIndexOf("(")))).toEqual([
    "(2 of 3 tries left)",
    "(1 of 3 tries left)",
  ]);
});

test("chunks share a connection; a chunk that failed takes a new one", async () => {
  const server = new AssetServer();
  const slow = () => refusal(503, "busy");
  await using ui = new WebUiDouble(faulty(server, 3, 1, slow));
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  await uploadAsset(targetFor(ui, pool, { chunkBytes: 500 }), disk, recordingContext(), noDelay);
  expect(chunksOf(ui.requests)).toBe("1/5 2/5 3/5 3/5 4/5 5/5");
  const [first, second, third, again] = ui.requests.map(({ clientPort }) => clientPort);
  expect([second, third]).toEqual([first, first]);
  expect(again).not.toBe(first);
});

test("a file that has become shorter is given up at once: no try would help", async () => {
  const server = new AssetServer();
  const path = "assets_public/disk.qcow2";
  await using pool = await TemporaryPool.make({ [path]: content });
  await using ui = new WebUiDouble((request) => {
    if (chunksOf([request]) === "1/3") truncateSync(pool.path(path), 1500);
    return server.answer(request);
  });
  await expect(uploadAsset(targetFor(ui, pool), disk, recordingContext(), noDelay)).rejects.toThrow(
    "File has only 1500 bytes, expected 2000",
  );
  expect(chunksOf(ui.requests)).toBe("1/3");
  expect(ui.requests.at(-1)?.path).toBe("/api/v1/jobs/12/upload_state");
});

test("when a check of the last chunk fails all chunks are sent again", async () => {
  const server = new AssetServer();
  let isFirst = true;
  await using ui = new WebUiDouble((request) => {
    // What a disk error does to the partial file on the server.
    if (isFirst && chunksOf([request]) === "3/3") {
      isFirst = false;
      server.answer({ ...request, path: "/upload_state" });
    }
    return server.answer(request);
  });
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  await uploadAsset(targetFor(ui, pool), disk, recordingContext(), noDelay);
  expect(chunksOf(ui.requests)).toBe("1/3 2/3 3/3 1/3 2/3 3/3");
  expect(server.stored.get(diskPath)?.bytes.equals(content)).toBe(true);
});

test.each([[2023], [2026]] as const)(
  "an asset that is complete though the answer got lost is not sent again (%d)",
  async (generation) => {
    const server = new AssetServer(generation);
    const lost = async (request: Arrived) => {
      await server.answer(request);
      return refusal(504, "Gateway Timeout");
    };
    await using ui = new WebUiDouble(faulty(server, 3, 1, lost));
    await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
    expect(await uploadAsset(targetFor(ui, pool), disk, recordingContext(), noDelay)).toBe(true);
    expect(chunksOf(ui.requests)).toBe("1/3 2/3 3/3");
    expect(ui.requests.at(-1)).toMatchObject({ method: "HEAD", path: "/assets/hdd/disk.qcow2" });
  },
);

test("an older asset of the same name and size is not taken for the new one", async () => {
  const server = new AssetServer();
  server.stored.set(diskPath, { bytes: Buffer.alloc(content.length), storedAtMs: Date.now() - 60_000 });
  await using ui = new WebUiDouble(faulty(server, 3, 1, () => refusal(503, "busy")));
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  await uploadAsset(targetFor(ui, pool), disk, recordingContext(), noDelay);
  expect(server.stored.get(diskPath)?.bytes.equals(content)).toBe(true);
});

test("a server that never answers the last chunk is asked for the asset after the deadline of the try", async () => {
  const server = new AssetServer(2023);
  server.stored.set(diskPath, { bytes: Buffer.alloc(1), storedAtMs: Date.now() - 60_000 });
  await using ui = new WebUiDouble(server.answer);
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  const target = targetFor(ui, pool);
  const { own } = target.settings;
  const hasty = { ...target.settings, own: { ...own, timeouts: { ...own.timeouts, answerMs: 100 } } };
  expect(await uploadAsset({ ...target, settings: hasty }, disk, recordingContext(), noDelay)).toBe(true);
  expect(chunksOf(ui.requests)).toBe("1/3 2/3 3/3");
});

test("a chunk that used up its tries is given up, and the server told to drop the file (field lesson 23)", async () => {
  const server = new AssetServer();
  await using ui = new WebUiDouble(faulty(server, 2, 9, () => refusal(500, "disk full")));
  await using pool = await TemporaryPool.make({ "assets_private/a.bin": content });
  const asset = { name: "a.bin", scope: "private" } as const;
  await expect(uploadAsset(targetFor(ui, pool), asset, recordingContext(), noDelay)).rejects.toThrow(
    "500 response: disk full",
  );
  expect(chunksOf(ui.requests)).toBe("1/3 2/3 2/3 2/3");
  const last = ui.requests.at(-1)!;
  expect(last.path).toBe("/api/v1/jobs/12/upload_state");
  expect(["filename", "scope", "state"].map((name) => field(last, name))).toEqual([
    "a.bin",
    "private",
    "fail",
  ]);
});

test("the last chunk is given up too, however often all begins anew", async () => {
  const failed = () => refusal(500, "Failed receiving asset: Checksum mismatch");
  await using ui = new WebUiDouble(faulty(new AssetServer(), 3, 9, failed));
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  await expect(uploadAsset(targetFor(ui, pool), disk, recordingContext(), noDelay)).rejects.toThrow(ApiError);
  expect(chunksOf(ui.requests)).toBe("1/3 2/3 3/3 1/3 2/3 3/3 1/3 2/3 3/3");
});

test("nothing is tried again once the server has given the job up", async () => {
  await using ui = new WebUiDouble(() => refusal(404, "No worker assigned"));
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  await expect(uploadAsset(targetFor(ui, pool), disk, recordingContext(), noDelay)).rejects.toThrow(
    "No worker assigned",
  );
  expect(ui.requests).toHaveLength(1);
});

test("waiting for the next try ends with the signal", async () => {
  const stop = new AbortController();
  await using ui = new WebUiDouble(() => {
    queueMicrotask(() => stop.abort(new Error("stopped")));
    return refusal(503, "busy");
  });
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  const target = targetFor(ui, pool, { firstChunkRetryDelayMs: 60_000 });
  await expect(uploadAsset(target, disk, recordingContext(stop.signal))).rejects.toThrow("stopped");
});

test("a local web UI is told the path of the asset, which it can read", async () => {
  await using ui = new WebUiDouble(() => Response.json({ status: "ok" }));
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  await chmod(pool.path("assets_public/disk.qcow2"), 0o600);
  await uploadAsset(targetFor(ui, pool, { local: true }), disk, recordingContext());
  expect(ui.uploads).toEqual([`disk.qcow2 asset=public local=${pool.path("assets_public/disk.qcow2")}`]);
  expect(fileOf(ui.requests[0]!).bytes).toHaveLength(0);
  expect((await stat(pool.path("assets_public/disk.qcow2"))).mode & 0o777).toBe(0o644);
});

test("a local web UI that cannot take the path gets the asset in chunks", async () => {
  const server = new AssetServer();
  await using ui = new WebUiDouble((request) =>
    field(request, "local") === undefined
      ? server.answer(request)
      : refusal(500, "Failed receiving asset: Can't copy file"),
  );
  await using pool = await TemporaryPool.make({ "assets_public/disk.qcow2": content });
  await uploadAsset(targetFor(ui, pool, { local: true }), disk, recordingContext());
  expect(ui.requests).toHaveLength(1 + 3);
  expect(server.stored.get(diskPath)?.bytes.equals(content)).toBe(true);
});

test.each([
  ["http://localhost", true, true],
  ["http://127.0.0.1:9526", true, true],
  ["http://[::1]:80", true, true],
  ["http://openqa.example.com", true, false],
  ["http://127.0.0.2", true, false],
  ["http://localhost.example.com", true, false],
  ["http://localhost", false, false],
])("a web UI at %s with LOCAL_UPLOAD %j: by path %j", async (url, local, byPath) => {
  const server = new AssetServer();
  await using ui = new WebUiDouble((request) =>
    field(request, "local") === undefined ? server.answer(request) : Response.json({ status: "ok" }),
  );
  await using pool = await TemporaryPool.make({ "assets_public/a": "x" });
  const target = { ...targetFor(ui, pool, { local }), webUi: ui.client(url) };
  await uploadAsset(target, { name: "a", scope: "public" }, recordingContext());
  expect(field(ui.requests[0]!, "local") !== undefined).toBe(byPath);
});

test("a link is no asset, and a missing file none either", async () => {
  await using ui = new WebUiDouble();
  await using pool = await TemporaryPool.make({ "assets_public/x": "" });
  await symlink(`${pool.outside}/secret`, pool.path("assets_public/link"));
  const upload = (name: string) =>
    uploadAsset(targetFor(ui, pool, { local: true }), { name, scope: "public" }, recordingContext());
  await expect(upload("link")).rejects.toThrow(PoolFileError);
  expect(await upload("none")).toBe(false);
  expect(ui.requests).toEqual([]);
});

test.each([
  ["a.iso", "public", "/assets/iso/a.iso"],
  ["a.qcow2", "private", "/assets/hdd/00000012-a.qcow2"],
  ["a.raw", "public", "/assets/hdd/a.raw"],
  ["a.vhd", "public", "/assets/hdd/a.vhd"],
  ["a.vhdx", "public", "/assets/hdd/a.vhdx"],
  ["a.ISO", "public", "/assets/other/a.ISO"],
  ["a b+?.txt", "public", "/assets/other/a%20b%2B%3F.txt"],
] as const)("asset %s (%s) is at %s", (name, scope, expected) => {
  expect(assetPath(name, scope, "12")).toBe(expected);
});

test.each([
  [1, 5000, 0, 5000],
  [1, 5000, 0.999, 5999],
  [2, 5000, 0, 6000],
  [10, 5000, 0.5, 14_500],
  [26, 5000, 0, 30_000],
  [100, 5000, 0, 30_000],
  [3, 10, 0.5, 35],
])(
  "after failure %d with delay %d ms and random %d it waits %d ms (field lesson 23)",
  (failed, first, random, expected) => {
    expect(chunkRetryDelayMs(failed, first, random)).toBe(expected);
  },
);

test.each([
  [0, 10, 1],
  [1, 10, 1],
  [10, 10, 1],
  [11, 10, 2],
  [20, 10, 2],
])("%d bytes in chunks of %d are %d", (size, chunk, expected) => {
  expect(chunkCount(size, chunk)).toBe(expected);
});

test("above what the server checks a lost answer to the last chunk means starting over", () => {
  const lost = new ApiError("Connection error: reset", undefined);
  expect(mustStartOver(lost, 250_000_000)).toBe(false);
  expect(mustStartOver(lost, 250_000_001)).toBe(true);
  expect(mustStartOver(new ApiError("500 response: Failed receiving asset: x", 500), 10)).toBe(true);
});
