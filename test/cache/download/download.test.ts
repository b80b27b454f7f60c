import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { lstat, stat, symlink, writeFile } from "node:fs/promises";
import { assetName } from "../../../src/cache/download/download.ts";
import { removePartial } from "../../../src/cache/download/partial-file.ts";
import { AssetRefusedError, CacheError } from "../../../src/errors.ts";
import { Downloads, randomContent, sha256, timing } from "./downloads.ts";
import { type Answer, answer, file, RawAssetServer } from "./raw-asset-server.ts";

const content = randomContent(3_000_000);
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

async function failureOf(url: URL, changes = {}): Promise<Error> {
  return await downloads.start(url, changes).then(
    () => new Error("it came"),
    (error) => error,
  );
}

test("a file comes as it is, with its hash, ETag, size and time of change; room is made for it before", async () => {
  server.answers = [file(content, { etag: '"v1"' })];
  const downloaded = await downloads.start(server.url());
  const { mtimeNs } = await stat(downloads.partial, { bigint: true });
  expect(downloaded).toEqual({
    kind: "fetched",
    etag: '"v1"',
    sizeBytes: 3_000_000,
    sha256: sha256(content),
    mtimeNs,
  });
  expect(content.equals(await downloads.content())).toBe(true);
  expect(downloads.neededBytes).toEqual([3_000_000]);
  expect(downloads.failures).toEqual([]);
});

test("the request is signed, wants the file as it is and asks for nothing else", async () => {
  server.answers = [file(content)];
  await downloads.start(server.url(), { credentials: { key: "K", secret: "S" } });
  const { path, headers } = server.requests[0]!;
  expect(path).toBe("/tests/42/asset/hdd/disk.qcow2");
  expect(headers).toMatchObject({ "x-api-key": "K", accept: "*/*", "accept-encoding": "identity" });
  expect(headers["x-api-hash"]).toMatch(/^[0-9a-f]{40}$/);
  expect(Object.keys(headers)).not.toContainAnyValues(["if-none-match", "range", "if-range"]);
});

test("an empty file is a file", async () => {
  server.answers = [answer(200)];
  expect(await downloads.start(server.url())).toMatchObject({
    kind: "fetched",
    sizeBytes: 0,
    sha256: sha256(Buffer.of()),
  });
  expect((await stat(downloads.partial)).size).toBe(0);
});

test("a copy that is current stays: nothing is written and nothing is left of an older try", async () => {
  server.answers = [file(content, { etag: '"v1"' })];
  expect(await downloads.start(server.url(), { etag: '"v1"' })).toEqual({ kind: "unchanged" });
  expect(server.sent("if-none-match")).toEqual(['"v1"']);
  expect(downloads.neededBytes).toEqual([]);
  expect(lstat(downloads.partial)).rejects.toThrow("ENOENT");
});

test("a file without a length counts when its last chunk has come", async () => {
  const chunked = (body: string): Answer => answer(200, { "Transfer-Encoding": "chunked" }, body);
  server.answers = [chunked("5\r\nhello\r\n"), chunked("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n")];
  expect(await downloads.start(server.url())).toMatchObject({
    sizeBytes: 6,
    sha256: sha256(Buffer.from("hello!")),
  });
  expect(downloads.neededBytes).toEqual([0, 0]);
  expect(downloads.failures).toHaveLength(1);
});

test("progress is told until the end, ten times a second at most", async () => {
  server.answers = [file(content)];
  const told: unknown[] = [];
  const startMs = performance.now();
  await downloads.start(server.url(), { onProgress: (progress) => told.push(progress) });
  expect(told.at(-1)).toEqual({ receivedBytes: 3_000_000, totalBytes: 3_000_000 });
  expect(told.length).toBeLessThanOrEqual(2 + (performance.now() - startMs) / 100);
});

describe("one try is enough to give up when", () => {
  test.each<[string, Answer, string]>([
    [
      "it gets an HTML page",
      answer(200, { "Content-Type": "text/html" }, "<html>"),
      "answered with an HTML page instead of the file: is this the web UI's address, or a log-in page of a proxy?",
    ],
    [
      "the file has been packed on its way",
      answer(200, { "Content-Encoding": "gzip" }, "x"),
      "answered with Content-Encoding gzip",
    ],
    [
      "the end of the file cannot be told",
      answer(200, { "Transfer-Encoding": "identity" }, "x"),
      "neither Content-Length nor chunks",
    ],
    [
      "a redirect leads out of the web",
      answer(302, { Location: "file:///etc/passwd" }),
      'redirects to "file:///etc/passwd", expected an address with http:// or https://',
    ],
    ["a redirect leads nowhere", answer(302), "answered 302 Found and does not say where to go"],
    [
      "redirects go in circles",
      answer(302, { Location: "/a" }),
      "redirects more than 5 times, the last time to http://127.0.0.1:",
    ],
  ])("%s", async (_, bad, text) => {
    server.answers = [bad];
    const error = await failureOf(server.url());
    expect(error).toBeInstanceOf(CacheError);
    expect(error).not.toBeInstanceOf(AssetRefusedError);
    expect(error.message).toContain(text);
    expect(downloads.failures).toEqual([]);
  });

  test.each([400, 401, 403, 404, 410, 416])("it is refused with %i", async (status) => {
    server.answers = [answer(status, { "Content-Type": "text/html" }, "<html>")];
    const error = await failureOf(server.url("/tests/1/asset/iso/a%20b.iso"));
    expect(error).toMatchObject({ name: "AssetRefusedError", status });
    expect(error.message).toMatch(new RegExp(`^Download of "a b.iso" failed: ${status} [A-Z]`));
    expect(server.requests).toHaveLength(1);
  });

  test("something else than a file has the name of the unfinished one's notes", async () => {
    server.answers = [file(content)];
    const error = await failureOf(server.url(), { partial: "/dev/null/partial" });
    expect(error).toBeInstanceOf(CacheError);
    expect(error.message).toContain("/dev/null/partial");
  });
});

test("an HTML page is a file when its name says so", async () => {
  server.answers = [answer(200, { "Content-Type": "text/html" }, "<html>")];
  expect(await downloads.start(server.url("/tests/1/asset/other/a.html"))).toMatchObject({ sizeBytes: 6 });
});

describe("it is tried again after", () => {
  test.each<[string, Answer, string]>([
    ["500", answer(500), "500 Internal Server Error"],
    ["a busy proxy", answer(503, { "Retry-After": 1 }), "503 Service Unavailable"],
    ["429", answer(429), "429 Too Many Requests"],
    ["an answer that nobody asked for", answer(304), "304 Not Modified, although that was not asked"],
    ["no answer at all", (socket) => socket.end(), "Premature connection close"],
    [
      "something that is no HTTP",
      (socket) => socket.end("no HTTP at all\r\n\r\n"),
      "Malformed HTTP response",
    ],
    ["silence", () => {}, "no answer within 0.3 s"],
  ])("%s", async (_, bad, text) => {
    server.answers = [bad, bad, file(content)];
    const downloaded = await downloads.start(server.url(), { timing: { ...timing, answerMs: 300 } });
    expect(downloaded).toMatchObject({ sha256: sha256(content) });
    expect(downloads.failures).toHaveLength(2);
    for (const line of downloads.failures) expect(line).toContain(text);
    expect(downloads.failures[1]).toMatch(/failed at 0 Byte: .* \(try 3 of 3 in 0\.0 s\)$/);
  });

  test("a server that was away", async () => {
    server.answers = [file(content)];
    await server.close();
    const started = downloads.start(server.url(), { tries: Number.POSITIVE_INFINITY });
    while (downloads.failures.length < 3) await Bun.sleep(5);
    await server.open();
    expect(await started).toMatchObject({ sha256: sha256(content) });
    expect(downloads.failures[0]).toMatch(
      /"disk\.qcow2" failed at 0 Byte: Connection error: Connection refused \(try 2 in /,
    );
  });
});

test("when the tries are used up the error says what was the matter the last time", async () => {
  server.answers = [answer(500), answer(500), answer(502)];
  const error = await failureOf(server.url());
  expect(error).toBeInstanceOf(CacheError);
  expect(error.message).toBe('Download of "disk.qcow2" failed at 0 Byte: 502 Bad Gateway (tries used up: 3)');
  expect(server.requests).toHaveLength(3);
});

test("bytes after the announced ones are not part of the file", async () => {
  server.answers = [answer(200, { "Content-Length": 5 }, "hello, world")];
  expect(await downloads.start(server.url())).toMatchObject({ sha256: sha256(Buffer.from("hello")) });
});

test("redirects are followed, each hop signed for itself and asked the same", async () => {
  server.answers = [answer(302, { Location: "/assets/hdd/disk.qcow2?x=1" }), file(content, { etag: '"v2"' })];
  await downloads.start(server.url(), { credentials: { key: "K", secret: "S" }, etag: '"v1"' });
  expect(server.requests.map(({ path }) => path)).toEqual([
    "/tests/42/asset/hdd/disk.qcow2",
    "/assets/hdd/disk.qcow2?x=1",
  ]);
  expect(server.sent("if-none-match")).toEqual(['"v1"', '"v1"']);
  const [first, second] = server.sent("x-api-hash");
  expect(second).toMatch(/^[0-9a-f]{40}$/);
  expect(second).not.toBe(first);
});

test("no room: it fails with what is said, before a byte is written", async () => {
  server.answers = [file(content)];
  const makeRoom = async () => {
    throw new CacheError("nothing left to purge");
  };
  expect((await failureOf(server.url(), { makeRoom })).message).toBe("nothing left to purge");
  expect(lstat(downloads.partial)).rejects.toThrow("ENOENT");
});

test("a link in the place of the unfinished file is not followed", async () => {
  server.answers = [file(content, { etag: '"v1"' })];
  const victim = `${downloads.partial}-victim`;
  await writeFile(victim, "precious");
  await symlink(victim, downloads.partial);
  await downloads.start(server.url());
  expect((await lstat(downloads.partial)).isFile()).toBe(true);
  expect(await Bun.file(victim).text()).toBe("precious");
});

test("what is left beside a file that has been moved away can be removed", async () => {
  server.answers = [file(content, { etag: '"v1"' })];
  await downloads.start(server.url());
  expect(await Bun.file(`${downloads.partial}.json`).exists()).toBe(true);
  await removePartial(downloads.partial);
  expect(await Bun.file(`${downloads.partial}.json`).exists()).toBe(false);
});

describe("aborted it throws the reason at once and leaves the connection", () => {
  const reason = new Error("the job has been cancelled");

  let received = 0;
  const wasAsked = () => server.requests.length > 0;
  test.each<[string, Answer, () => boolean]>([
    ["before the answer", () => {}, wasAsked],
    ["within the file", file(content, { stallAfter: 1_000_000 }), () => received > 0],
    ["between tries", answer(500), () => downloads.failures.length > 0],
  ])("%s", async (_, slow, isUnderWay) => {
    server.answers = [slow];
    const started = failureOf(server.url(), {
      timing: {
        ...timing,
        retryDelayMs: 60_000,
        maxRetryDelayMs: 60_000,
        rateWindowMs: 60_000,
        answerMs: 60_000,
      },
      onProgress: ({ receivedBytes }: { receivedBytes: number }) => {
        received = receivedBytes;
      },
    });
    while (!isUnderWay()) await Bun.sleep(1);
    const abortedMs = performance.now();
    downloads.controller.abort(reason);
    expect(await started).toBe(reason);
    expect(performance.now() - abortedMs).toBeLessThan(1000);
    while (server.connections > 0) await Bun.sleep(1);
  });

  test("while room is made", async () => {
    server.answers = [file(content)];
    const making = Promise.withResolvers<void>();
    const makeRoom = (_: number, { signal }: { signal: AbortSignal }) => {
      making.resolve();
      return new Promise<void>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const started = failureOf(server.url(), { makeRoom });
    await making.promise;
    downloads.controller.abort(reason);
    expect(await started).toBe(reason);
    while (server.connections > 0) await Bun.sleep(1);
  });
});

test("an asset's name is the decoded last part of its URL's path", () => {
  const name = (path: string) => assetName(new URL(path, "http://host"));
  expect(name("/tests/1/asset/iso/a%20b.iso?x=/y")).toBe("a b.iso");
  expect(name("/tests/1/asset/iso/100%.iso")).toBe("100%.iso");
});
