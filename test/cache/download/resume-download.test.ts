import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Downloads, randomContent, timing } from "./downloads.ts";
import {
  type Answer,
  answer,
  type FileOptions,
  file,
  headText,
  RawAssetServer,
  rangeStart,
} from "./raw-asset-server.ts";

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

/** `content` until a part of it has come: then the connection ends. */
function cut(options: FileOptions): Answer {
  return async (socket, request) => {
    const before = await downloads.sizeBytes();
    file(content, { stallAfter: 3_000_000, ...options })(socket, request);
    while ((await downloads.sizeBytes()) <= before) await Bun.sleep(1);
    socket.end();
  };
}

test("a connection that is cut is followed by one for the rest", async () => {
  server.answers = [cut({ etag: v1 }), file(content, { etag: v1 })];
  await downloads.expectCame(downloads.start(server.url()), content, v1);
  const [first, second = 0] = server.starts;
  expect([first, server.sent("if-range")]).toEqual([undefined, [undefined, v1]]);
  expect(second).toBeWithin(1, 3_000_001);
  expect(downloads.neededBytes).toEqual([4_000_000, 4_000_000 - second]);
  expect(downloads.failures[0]).toMatch(
    /failed at \d\.\d MiB of 3\.8 MiB: .*Premature connection close \(try 1 of 3 in /,
  );
  expect(downloads.lines.at(-1)).toMatch(
    /^info: Going on with the download of "disk.qcow2" at \d\.\d MiB of 3\.8 MiB$/,
  );
});

test("tries that get further do not count", async () => {
  const cutOff = cut({ etag: v1, stallAfter: 600_000 });
  server.answers = [cutOff, cutOff, cutOff, cutOff, file(content, { etag: v1 })];
  await downloads.expectCame(downloads.start(server.url(), { tries: 2 }), content, v1);
  expect(downloads.failures).toHaveLength(4);
});

test("a transfer that gets a byte per window is given up and gone on with", async () => {
  const trickle: Answer = (socket) => {
    socket.write(headText(200, { ETag: v1, "Content-Length": content.length }));
    socket.write(content.subarray(0, 500_000));
    let at = 500_000;
    const timer = setInterval(() => socket.write(content.subarray(at, ++at)), 100);
    socket.on("close", () => clearInterval(timer));
  };
  server.answers = [trickle, file(content, { etag: v1 })];
  await downloads.expectCame(
    downloads.start(server.url(), { timing: { ...timing, rateWindowMs: 300 } }),
    content,
    v1,
  );
  expect(server.starts[1]).toBeWithin(500_000, 500_100);
  expect(downloads.failures[0]).toMatch(/stalled: only \d+ Byte within 0.3 s/);
});

test.each<[string, string | undefined]>([
  ["a weak", 'W/"v1"'],
  ["no", undefined],
])("without a strong ETag (%s one) it starts over", async (_, etag) => {
  const options = etag === undefined ? {} : { etag };
  server.answers = [cut(options), file(content, options)];
  await downloads.expectCame(downloads.start(server.url()), content, etag);
  expect(server.starts).toEqual([undefined, undefined]);
  expect(downloads.neededBytes).toEqual([4_000_000, 4_000_000]);
});

describe("a file that is replaced meanwhile comes in its new version", () => {
  test("from a server that looks at If-Range", async () => {
    server.answers = [cut({ etag: v1 }), file(changed, { etag: v2 })];
    await downloads.expectCame(downloads.start(server.url()), changed, v2);
    expect(server.requests).toHaveLength(2);
  });

  test("from one that sends the rest of the new version", async () => {
    const replaced = file(changed, { etag: v2, ignoresIfRange: true });
    server.answers = [cut({ etag: v1 }), replaced];
    await downloads.expectCame(downloads.start(server.url()), changed, v2);
    expect(server.starts).toEqual([undefined, expect.any(Number), undefined]);
    expect(downloads.failures).toHaveLength(1);
    expect(downloads.lines.join("\n")).toContain('over: ETag of the rest is "v2", expected "v1"');
  });

  test("from one whose new version is shorter than what has come", async () => {
    const short = changed.subarray(0, 100);
    const replaced = file(short, { etag: v2, ignoresIfRange: true });
    server.answers = [cut({ etag: v1 }), replaced];
    await downloads.expectCame(downloads.start(server.url()), short, v2);
    expect(downloads.failures).toHaveLength(1);
  });
});

const from = (start: number, end: number, total: number) => `bytes ${start}-${end}/${total}`;
test.each<[string, (start: number) => Record<string, string>]>([
  [
    "does not say which version it is of",
    (start) => ({ "Content-Range": from(start, 3_999_999, 4_000_000) }),
  ],
  ["starts elsewhere", (start) => ({ ETag: v1, "Content-Range": from(start - 1, 3_999_999, 4_000_000) })],
  ["is of another size", (start) => ({ ETag: v1, "Content-Range": from(start, 4_000_000, 4_000_001) })],
  ["does not say what it is", () => ({ ETag: v1 })],
])("a rest that %s is not taken", async (_, headersFor) => {
  const misfit: Answer = (socket, request) => {
    const start = rangeStart(request.headers["range"]);
    answer(206, headersFor(start), changed.subarray(start))(socket, request);
  };
  server.answers = [cut({ etag: v1 }), misfit, file(content, { etag: v1 })];
  await downloads.expectCame(downloads.start(server.url()), content, v1);
  expect(server.starts).toEqual([undefined, expect.any(Number), undefined]);
});

test("a rest that goes on and on is thrown away with all that came before", async () => {
  const tooMuch: Answer = (socket, { headers }) => {
    const start = rangeStart(headers["range"]);
    const range = {
      ETag: v1,
      "Content-Range": from(start, 3_999_999, 4_000_000),
      "Transfer-Encoding": "chunked",
    };
    socket.write(headText(206, range));
    socket.write(`${(4_000_100 - start).toString(16)}\r\n`);
    socket.write(changed.subarray(0, 4_000_100 - start));
    socket.end("\r\n0\r\n\r\n");
  };
  server.answers = [cut({ etag: v1 }), tooMuch, file(content, { etag: v1 })];
  await downloads.expectCame(downloads.start(server.url()), content, v1);
  expect(downloads.failures[1]).toContain("the server sent 4000100 bytes instead of 4000000");
  expect(server.starts[2]).toBeUndefined();
});

test("while room is made for long the server is not kept waiting, and room is made once", async () => {
  server.answers = [file(content, { etag: v1 })];
  const makeRoom = async (sizeBytes: number) => {
    downloads.neededBytes.push(sizeBytes);
    while (server.requests.length === 0 || server.connections > 0) await Bun.sleep(1);
  };
  await downloads.expectCame(
    downloads.start(server.url(), { makeRoom, timing: { ...timing, answerMs: 200 } }),
    content,
    v1,
  );
  expect(server.requests).toHaveLength(2);
  expect(downloads.neededBytes).toEqual([4_000_000]);
  expect(downloads.failures).toEqual([]);
});
