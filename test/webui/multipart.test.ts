import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formBody, maxBufferedBodyBytes } from "../../src/webui/multipart.ts";
import type { FormPart } from "../../src/webui/web-ui.ts";
import { readMultipart } from "../support/multipart.ts";
import { answer, clientFor, type Play, testContext, WebUiDoor } from "./web-ui-door.ts";

const bigBytes = 200 * 1024 * 1024;
let folder = "";
let small = 0;
let big = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "multipart-"));
  await writeFile(join(folder, "small"), "bytes\r\n--\0of a file");
  await writeFile(join(folder, "big"), "");
  await truncate(join(folder, "big"), bigBytes);
  small = openSync(join(folder, "small"), "r");
  big = openSync(join(folder, "big"), "r");
});
afterAll(async () => {
  closeSync(small);
  closeSync(big);
  await rm(folder, { recursive: true });
});

const upload = (form: readonly FormPart[]) => ({ method: "POST", path: "jobs/1/artefact", form }) as const;

test("values, bytes and files arrive as they are, at each try", async () => {
  await using server = await WebUiDoor.open(answer(500), answer(200, "OK"));
  const form: FormPart[] = [
    { name: "image", value: "1" },
    { name: "file", fileName: "a.png", content: new Uint8Array([0, 255, 13, 10]) },
    { name: "file", fileName: "serial0.txt", content: { fd: small, sizeBytes: 19 } },
    { name: "file", fileName: "empty", content: new Uint8Array() },
  ];
  const answered = await clientFor(server.url).call(upload(form), testContext());
  expect(answered.body).toBe("OK");
  expect(server.requests).toHaveLength(2);
  for (const { headers, body } of server.requests) {
    const entries = readMultipart(headers["content-type"]!, body);
    expect(entries.map(({ name, fileName }) => [name, fileName])).toEqual([
      ["image", undefined],
      ["file", "a.png"],
      ["file", "serial0.txt"],
      ["file", "empty"],
    ]);
    expect(entries.map(({ bytes }) => bytes.toString("latin1"))).toEqual([
      "1",
      "\0\xff\r\n",
      "bytes\r\n--\0of a file",
      "",
    ]);
  }
});

test("a name can end neither its quotes nor its header", async () => {
  const pieces = formBody([{ name: 'a"b', fileName: "x\r\ny", content: new Uint8Array() }], "B").pieces();
  expect(
    Buffer.concat(await Array.fromAsync(pieces))
      .toString()
      .split("\r\n")[1],
  ).toBe('Content-Disposition: form-data; name="a%22b"; filename="x%0D%0Ay"');
});

test("a big body has the length that was announced, byte for byte", async () => {
  await using server = await WebUiDoor.open(answer(200, "OK"));
  const content = new Uint8Array(maxBufferedBodyBytes + 5).fill(7);
  await clientFor(server.url).call(upload([{ name: "file", fileName: "x", content }]), testContext());
  const [{ headers, body }] = server.requests as [(typeof server.requests)[0]];
  expect(headers).not.toHaveProperty("transfer-encoding");
  expect(body.length).toBe(Number(headers["content-length"]));
  expect(readMultipart(headers["content-type"]!, body)[0]!.bytes.equals(content)).toBe(true);
});

test.each([10, 3_000_000])(
  "content that is made on the way (%d bytes) is made anew at each try",
  async (sizeBytes) => {
    await using server = await WebUiDoor.open(answer(500), answer(200, "OK"));
    let made = 0;
    const content = {
      sizeBytes,
      async *pieces() {
        made++;
        yield new Uint8Array(5).fill(made);
        yield new Uint8Array(sizeBytes - 5).fill(made);
      },
    };
    await clientFor(server.url).call(upload([{ name: "file", fileName: "x", content }]), testContext());
    const arrived = server.requests.map(
      ({ headers, body }) => readMultipart(headers["content-type"]!, body)[0]!.bytes,
    );
    expect(arrived.map((bytes) => bytes.length)).toEqual([sizeBytes, sizeBytes]);
    expect(arrived.map((bytes) => bytes.every((byte) => byte === bytes[0]))).toEqual([true, true]);
    expect(arrived.map(([first]) => first)).toEqual([1, 2]);
  },
);

test("a piece's memory may be used again for the next, however slowly the server takes them", async () => {
  const pieceBytes = 300_000;
  const memory = new Uint8Array(pieceBytes);
  const content = {
    sizeBytes: 20 * pieceBytes,
    async *pieces() {
      for (let piece = 1; piece <= 20; piece++) {
        yield memory.fill(piece);
        memory.fill(0);
      }
    },
  };
  const arrived: Buffer[] = [];
  const takeSlowly: Play = ({ socket, body, headers }) => {
    arrived.push(body);
    let left = Number(headers["content-length"]) - body.length;
    socket.removeAllListeners("data");
    socket.on("data", (bytes) => {
      arrived.push(Buffer.from(bytes));
      left -= bytes.length;
      socket.pause();
      setImmediate(() => socket.resume());
      if (left === 0) answer(200, "OK")({ line: "", headers, body, socket });
    });
  };
  await using server = await WebUiDoor.open(takeSlowly);
  server.headOnly = true;
  await clientFor(server.url).call(upload([{ name: "file", fileName: "x", content }]), testContext());
  const type = server.requests[0]?.headers["content-type"] ?? "";
  const { bytes } = readMultipart(type, Buffer.concat(arrived))[0]!;
  const expected = Buffer.concat(Array.from({ length: 20 }, (_, at) => Buffer.alloc(pieceBytes, at + 1)));
  expect(bytes.equals(expected)).toBe(true);
});

const bigUpload = () => upload([{ name: "file", fileName: "v", content: { fd: big, sizeBytes: bigBytes } }]);

test("a big file does not go through memory as a whole", async () => {
  let received = 0;
  const drain: Play = ({ socket, body, headers }) => {
    received = body.length;
    socket.removeAllListeners("data");
    socket.on("data", (bytes) => {
      received += bytes.length;
      if (received === Number(headers["content-length"]))
        answer(200, "OK")({ line: "", headers, body, socket });
    });
  };
  await using server = await WebUiDoor.open(drain);
  server.headOnly = true;
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 5);
  await clientFor(server.url).call(bigUpload(), testContext());
  clearInterval(timer);
  expect(received).toBeGreaterThan(bigBytes);
  expect(peak - before).toBeLessThan(bigBytes / 2);
});

test("an upload that nobody takes ends by the idle deadline (field lesson 42)", async () => {
  await using server = await WebUiDoor.open(({ socket }) => socket.pause());
  server.headOnly = true;
  const client = clientFor(server.url, { timeouts: { idleMs: 50 } });
  await expect(client.call({ ...bigUpload(), tries: 1 }, testContext())).rejects.toThrow(
    "Inactivity timeout",
  );
});

test("a refusal in the middle of an upload is heard at once", async () => {
  const refuse: Play = (request) => {
    request.socket.pause();
    answer(404, '{"error":"No worker assigned"}')(request);
  };
  await using server = await WebUiDoor.open(refuse);
  server.headOnly = true;
  const call = clientFor(server.url).call(bigUpload(), testContext());
  await expect(call).rejects.toThrow("404 response: No worker assigned");
});

test.each([19_000, 3_000_000])("a file shorter than announced (%d) is one failed try", async (sizeBytes) => {
  await using server = await WebUiDoor.open(answer(200, "OK"));
  const form = [{ name: "file", fileName: "x", content: { fd: small, sizeBytes } }];
  const call = clientFor(server.url).call(upload(form), testContext());
  await expect(call).rejects.toThrow(`Connection error: File has only 19 bytes, expected ${sizeBytes}`);
  expect(server.requests).toEqual([]);
});
