import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import type { RestClient } from "../../src/webui/rest-client.ts";
import { openWorkerSocket, retryAfterMs, WebSocketError } from "../../src/webui/worker-socket.ts";
import { closeFrame, frame, upgrade } from "./raw-websocket.ts";
import * as door from "./web-ui-door.ts";
import { answer, type ClientChanges, clientFor, type Play, testContext, WebUiDoor } from "./web-ui-door.ts";

function registered(url: string, changes: ClientChanges = {}): RestClient {
  const client = clientFor(url, changes);
  client.workerId = 2;
  return client;
}

const ignore = () => {};

test("the upgrade is signed and offers compression", async () => {
  await using server = await WebUiDoor.open(upgrade());
  const socket = await openWorkerSocket(registered(server.url), ignore, testContext());
  const { line, headers } = server.requests[0]!;
  expect(line).toBe("GET /api/v1/ws/2 HTTP/1.1");
  const hash = createHmac("sha1", "SECRET").update(`/api/v1/ws/2${headers["x-api-microtime"]}`).digest("hex");
  expect(headers).toMatchObject({ "x-api-key": "KEY", "x-api-hash": hash });
  expect(headers["sec-websocket-extensions"]).toStartWith("permessage-deflate");
  expect(socket.url).toBe(`ws://127.0.0.1:${server.port}/api/v1/ws/2`);
});

test("texts arrive in order, those that came with the upgrade too", async () => {
  const both = Buffer.concat([frame(1, '{"a":1}'), frame(1, "ä")]);
  await using server = await WebUiDoor.open(upgrade((socket) => socket.end(both)));
  const texts: string[] = [];
  const socket = await openWorkerSocket(registered(server.url), (text) => texts.push(text), testContext());
  await socket.closed;
  expect(texts).toEqual(['{"a":1}', "ä"]);
});

test("a peer that has vanished without a word is given up (field lesson 42)", async () => {
  await using server = await WebUiDoor.open(upgrade());
  const client = registered(server.url, { timeouts: { idleMs: 20 } });
  const { closed } = await openWorkerSocket(client, ignore, testContext());
  expect(await closed).toEqual({ code: 1006, reason: "no sign of life within 0.1 s" });
});

test("a peer that answers pings may be silent otherwise", async () => {
  const answered = Promise.withResolvers<void>();
  let pings = 0;
  const answerPings = upgrade((socket) =>
    socket.on("data", (data) => {
      if ((data[0] ?? 0) !== 0x89) return;
      socket.write(frame(10, ""));
      if (++pings === 7) answered.resolve();
    }),
  );
  await using server = await WebUiDoor.open(answerPings);
  const client = registered(server.url, { timeouts: { idleMs: 20 } });
  const socket = await openWorkerSocket(client, ignore, testContext());
  await answered.promise;
  expect(socket.send({ type: "quit" })).toBe(true);
  socket.close();
});

test("a redirect is followed, signed for its path, to another port of this machine", async () => {
  await using daemon = await WebUiDoor.open(upgrade());
  await using server = await WebUiDoor.open(
    answer(302, "", [`Location: http://localhost:${daemon.port}/ws/2`]),
  );
  await openWorkerSocket(registered(server.url), ignore, testContext());
  const { line, headers } = daemon.requests[0]!;
  expect(line).toBe("GET /ws/2 HTTP/1.1");
  const hash = createHmac("sha1", "SECRET").update(`/ws/2${headers["x-api-microtime"]}`).digest("hex");
  expect(headers["x-api-hash"]).toBe(hash);
});

test("a redirect to another host name gets no credentials", async () => {
  await using other = await WebUiDoor.openAt("127.0.0.2", upgrade());
  await using server = await WebUiDoor.open(answer(302, "", [`Location: ${other.url}/ws/2`]));
  await openWorkerSocket(registered(server.url), ignore, testContext());
  expect(other.requests[0]!.headers).not.toHaveProperty("x-api-key");
  expect(other.requests[0]!.headers).not.toHaveProperty("x-api-hash");
});

test.each<[string, Play, string, number | undefined]>([
  ["502", answer("502 Bad Gateway", "<html>"), "code 502", undefined],
  ["400", answer(400, "Unknown worker"), "code 400", undefined],
  ["200", answer(200, "<html>"), "code 200", undefined],
  ["429", answer(429, "Limit", ["Retry-After: 900"]), "code 429", 900_000],
  ["endless redirects", answer(302, "", ["Location: /again"]), "code 302", undefined],
  ["reset", door.reset, "read ECONNRESET", undefined],
  ["no answer", door.hang, "Opening handshake has timed out", undefined],
])("%s is an error that can be retried", async (_name, play, why, retryMs) => {
  await using server = await WebUiDoor.open(play);
  const client = registered(server.url, { timeouts: { websocketMs: 100 } });
  const error = await openWorkerSocket(client, ignore, testContext()).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WebSocketError);
  const message = `Unable to upgrade to ws connection via ws://127.0.0.1:${server.port}/api/v1/ws/2, ${why}`;
  expect(error).toMatchObject({ message, retryAfterMs: retryMs });
});

test.each([
  [undefined, undefined],
  ["5", 5000],
  ["99999999", 3_600_000],
  ["Thu, 01 Jan 1970 00:00:30 GMT", 20_000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["soon", undefined],
])("Retry-After %p", (header, ms) => expect(retryAfterMs(header, 10_000)).toBe(ms));

test("the close of the server tells code and reason", async () => {
  await using server = await WebUiDoor.open(
    upgrade((socket) => socket.write(closeFrame(1008, "thought dead"))),
  );
  const socket = await openWorkerSocket(registered(server.url), ignore, testContext());
  expect(await socket.closed).toEqual({ code: 1008, reason: "thought dead" });
  expect(socket.send({ type: "quit" })).toBe(false);
});

test("a frame above the limit ends the connection, not the worker", async () => {
  await using server = await WebUiDoor.open(
    upgrade((socket) => socket.write(frame(1, Buffer.alloc(5000, 32)))),
  );
  const client = registered(server.url, { limits: { maxFrameBytes: 4999 } });
  const socket = await openWorkerSocket(client, ignore, testContext());
  expect(await socket.closed).toEqual({ code: 1006, reason: "Max payload size exceeded" });
});

test("closing a peer that does not answer takes a bounded time", async () => {
  await using server = await WebUiDoor.open(upgrade());
  const socket = await openWorkerSocket(registered(server.url), ignore, testContext());
  socket.close();
  expect((await socket.closed).code).toBe(1006);
});

test("the signal ends the upgrade with its reason", async () => {
  const context = testContext();
  await using server = await WebUiDoor.open(() => context.controller.abort(new Error("stop")));
  await expect(openWorkerSocket(registered(server.url), ignore, context)).rejects.toThrow("stop");
});
