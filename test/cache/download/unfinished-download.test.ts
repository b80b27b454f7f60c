import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Downloads, randomContent, sha256 } from "./downloads.ts";
import { file, RawAssetServer } from "./raw-asset-server.ts";

const content = randomContent(4_000_000);
const changed = randomContent(4_000_000);
const [v1, v2] = ['"v1"', '"v2"'];

let downloads: Downloads;
let server: RawAssetServer;
beforeEach(async () => {
  downloads = await Downloads.prepare();
  server = await RawAssetServer.listen();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await downloads[Symbol.asyncDispose]();
});

/** Leaves what a download of `content` has after its first megabyte, as one that was aborted. */
async function leavePartial(etag = v1): Promise<void> {
  const first = await Downloads.prepare();
  server.answers = [file(content, { etag, stallAfter: 1_000_000 })];
  const started = first.start(server.url(), { partial: downloads.partial }).catch(() => {});
  while ((await downloads.sizeBytes()) < 1_000_000) await Bun.sleep(1);
  first.controller.abort();
  await started;
  await first[Symbol.asyncDispose]();
  server.requests.length = 0;
}

async function editNotes(edit: (notes: string) => string): Promise<void> {
  const notes = `${downloads.partial}.json`;
  await writeFile(notes, edit(await readFile(notes, "utf8")));
}

test("only the rest is asked for", async () => {
  await leavePartial();
  server.answers = [file(content, { etag: v1 })];
  await downloads.expectCame(downloads.start(server.url()), content, v1);
  expect(server.starts).toEqual([1_000_000]);
  expect(downloads.neededBytes).toEqual([3_000_000]);
});

test("a replaced file comes in its new version", async () => {
  await leavePartial();
  server.answers = [file(changed, { etag: v2, ignoresIfRange: true })];
  await downloads.expectCame(downloads.start(server.url()), changed, v2);
});

test("a copy that is current again makes the unfinished file superfluous", async () => {
  await leavePartial();
  server.answers = [file(changed, { etag: v2 })];
  expect(await downloads.start(server.url(), { etag: v2 })).toEqual({ kind: "unchanged" });
  expect([server.sent("if-none-match"), server.starts]).toEqual([[v2], [1_000_000]]);
  expect(await readdir(join(downloads.partial, ".."))).toEqual([]);
});

test.each<[string, (partial: string) => Promise<void>]>([
  [
    "the machine has been started anew",
    () => editNotes((notes) => notes.replace(/"bootId":"[^"]*"/, '"bootId":"other"')),
  ],
  ["its notes are damaged", () => editNotes((notes) => notes.slice(0, -5))],
  ["its notes are of another kind", () => editNotes((notes) => notes.replace('"format":1', '"format":2'))],
  ["it is longer than the whole file", (partial) => writeFile(partial, Buffer.alloc(4_000_001))],
  ["it is empty", (partial) => writeFile(partial, "")],
])("everything is asked for when %s", async (_, spoil) => {
  await leavePartial();
  await spoil(downloads.partial);
  server.answers = [file(content, { etag: v1 })];
  await downloads.expectCame(downloads.start(server.url()), content, v1);
  expect(server.starts).toEqual([undefined]);
  expect(downloads.neededBytes).toEqual([4_000_000]);
});

describe("of a file that is complete already", () => {
  beforeEach(async () => {
    await leavePartial();
    await writeFile(downloads.partial, content);
  });

  test("nothing comes if it is current", async () => {
    server.answers = [file(content, { etag: v1 })];
    await downloads.expectCame(downloads.start(server.url(), { etag: v2 }), content, v1);
    expect([server.sent("if-none-match"), server.starts]).toEqual([[v1], [undefined]]);
    expect(downloads.neededBytes).toEqual([]);
  });

  test("the new version comes if it is not", async () => {
    server.answers = [file(changed, { etag: v2 })];
    await downloads.expectCame(downloads.start(server.url()), changed, v2);
  });
});

test("what a download that was killed has left is gone on with by another process (field lesson 18)", async () => {
  server.answers = [file(content, { etag: v1, stallAfter: 3_000_000 }), file(content, { etag: v1 })];
  const killed = spawnDownloader([], downloads.partial);
  while ((await downloads.sizeBytes()) < 1_000_000) await Bun.sleep(1);
  killed.kill("SIGKILL");
  await killed.exited;
  const size = await downloads.sizeBytes();
  expect(await outcomeOf(spawnDownloader([], downloads.partial))).toEqual({
    kind: "fetched",
    etag: v1,
    sizeBytes: 4_000_000,
    sha256: sha256(content),
  });
  expect(server.starts).toEqual([undefined, size]);
  expect(content.equals(await downloads.content())).toBe(true);
});

test("on a full disk it fails at once, says so, and leaves its room to others", async () => {
  server.answers = [file(content, { etag: v1 })];
  const folder = `${downloads.partial}.d`;
  await mkdir(folder);
  const script = `mount -t tmpfs -o size=2m tmpfs '${folder}' && "$@" && ls -A '${folder}'`;
  const isRoot = process.getuid?.() === 0;
  const inSmallDisk = [
    "unshare",
    "--mount",
    ...(isRoot ? [] : ["--map-root-user"]),
    "sh",
    "-c",
    script,
    "sh",
  ];
  const full = spawnDownloader(inSmallDisk, join(folder, "partial"));
  expect(await outcomeOf(full)).toEqual({
    kind: "failed",
    name: "CacheError",
    message: expect.stringMatching(
      new RegExp(`^No space left on the disk of ${folder} for "disk.qcow2" \\(3.8 MiB\\): .*ENOSPC`),
    ),
  });
  expect(server.requests).toHaveLength(1);
});

function spawnDownloader(prefix: readonly string[], partial: string) {
  const script = join(import.meta.dir, "downloader.ts");
  const command = [...prefix, process.execPath, script, server.url().href, partial];
  return Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
}

/** All that it prints: one line of JSON. */
async function outcomeOf(downloader: ReturnType<typeof spawnDownloader>): Promise<unknown> {
  return JSON.parse(await downloader.stdout.text());
}
