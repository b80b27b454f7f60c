import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { ApiError } from "../../src/errors.ts";
import { retryTable } from "./retry-table.ts";
import * as door from "./web-ui-door.ts";
import { answer, type ClientChanges, clientFor, type Play, testContext, WebUiDoor } from "./web-ui-door.ts";

const request = { method: "POST", path: "jobs/12/status", json: { status: {} } } as const;
/** Delays of 0 and 10 seconds tell the two kinds of retry apart: one of them the test does not survive. */
const onlyRetry = { host: { retryDelayMs: 0, busyRetryDelayMs: 100_000 } };
const onlyBusy = { host: { retryDelayMs: 100_000, busyRetryDelayMs: 0 } };

async function failedCall(play: Play, changes: ClientChanges) {
  await using server = await WebUiDoor.open(play);
  const context = testContext();
  const client = clientFor(server.url, changes);
  const error = await client.call(request, context).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return { error, server, context, client };
}

for (const [result, verdict] of retryTable) {
  if (typeof result !== "number") continue;
  if (verdict === "final")
    test(`${result} is not repeated`, async () => {
      const { error, server } = await failedCall(answer(result, '{"error":"no"}'), {});
      expect(error).toMatchObject({ message: `${result} response: no`, status: result });
      expect(server.requests).toHaveLength(1);
    });
  if (verdict === "retry" || verdict === "busy")
    test(`${result} is repeated, ${verdict}`, async () => {
      const { error, server } = await failedCall(
        answer(`${result} Phrase`, result === 304 ? "" : "<html>"),
        verdict === "busy" ? onlyBusy : onlyRetry,
      );
      expect(error).toMatchObject({ message: `${result} response: Phrase`, status: result });
      expect(server.requests).toHaveLength(3);
    });
}

test("a clock that is off is no refusal: it gets set right again (field lesson 35)", async () => {
  const play = answer(403, '{"error":"timestamp mismatch"}');
  const { error, server } = await failedCall(play, onlyRetry);
  expect(error).toMatchObject({ isFinal: false, isAway: true });
  expect(server.requests).toHaveLength(3);
});

const timeouts = { answerMs: 40, idleMs: 40, requestMs: 5000 };
test.each<[string, Play, ClientChanges, string]>([
  ["reset", door.reset, onlyRetry, "Premature connection close"],
  ["closed without a word", door.close, onlyRetry, "Premature connection close"],
  ["no HTTP", door.garbage, onlyRetry, "Malformed HTTP response"],
  ["cut answer", door.cut, onlyRetry, "Premature connection close"],
  ["no answer", door.hang, { ...onlyBusy, timeouts }, "Inactivity timeout"],
  ["an answer that stops", door.trickle(10_000), { ...onlyBusy, timeouts }, "Inactivity timeout"],
  ["trickle", door.trickle(5), { ...onlyBusy, timeouts: { requestMs: 60 } }, "Request timeout"],
])("%s: repeated, then an error without status", async (_name, play, changes, text) => {
  const { error, server } = await failedCall(play, changes);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ message: `Connection error: ${text}`, status: undefined });
  expect(server.requests).toHaveLength(3);
});

test("a refused connection is repeated", async () => {
  const context = testContext();
  const server = await WebUiDoor.open();
  await server[Symbol.asyncDispose]();
  const call = clientFor(server.url, onlyRetry).call(request, context);
  await expect(call).rejects.toThrow("Connection error: Connection refused");
  expect(context.entries).toHaveLength(3);
});

test("an answer bigger than the limit is none", async () => {
  const play: Play = ({ socket }) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const more = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65536, 32)));
    };
    socket.on("drain", more);
    more();
  };
  const { error } = await failedCall(play, { ...onlyRetry, restTries: 1 });
  expect(error).toMatchObject({ message: "Connection error: Answer has more than 16777216 bytes" });
});

test("a refusal whose text does not end is still one", async () => {
  const play: Play = ({ socket }) => socket.write("HTTP/1.1 404 Gone\r\nContent-Length: 9\r\n\r\n{");
  const { error, server } = await failedCall(play, { timeouts: { idleMs: 40 } });
  expect(error).toMatchObject({ message: "404 response: Gone", status: 404 });
  expect(server.requests).toHaveLength(1);
});

test("a call that recovers is answered, and each failed try is logged with what remains", async () => {
  await using server = await WebUiDoor.open(
    answer("503 Busy"),
    answer("500 Oops"),
    answer(200, '{"result":1}'),
  );
  const context = testContext();
  const client = clientFor(server.url);
  client.errors.note("jobs/N/status", "from before");
  expect(await client.call(request, context)).toMatchObject({ status: 200, body: { result: 1 } });
  expect(context.entries.map(({ level, text }) => [level, text])).toEqual([
    [
      "warn",
      `REST-API error (POST ${server.url}/api/v1/jobs/12/status): 503 response: Busy (remaining tries: 2)`,
    ],
    [
      "warn",
      `REST-API error (POST ${server.url}/api/v1/jobs/12/status): 500 response: Oops (remaining tries: 1)`,
    ],
  ]);
  expect(client.errors.text()).toBe(undefined);
});

test("the error of an exhausted critical call is remembered, that of another is not (field lesson 25)", async () => {
  await using server = await WebUiDoor.open(answer("500 Oops"));
  const client = clientFor(server.url);
  await client.call({ ...request, remembered: false }, testContext()).catch(() => {});
  expect(client.errors.text()).toBe(undefined);
  await client.call(request, testContext()).catch(() => {});
  expect(client.errors.text()).toBe("500 response: Oops");
});

test("HTML where JSON is expected counts as a failed try", async () => {
  await using server = await WebUiDoor.open(
    answer(200, "<html>"),
    answer(200, "[]"),
    answer(200, '{"id":1}'),
  );
  const client = clientFor(server.url, onlyRetry);
  expect((await client.call({ ...request, expects: "json" }, testContext())).body).toEqual({ id: 1 });
  expect((await client.call(request, testContext())).body).toEqual({ id: 1 });
});

test("endless tries end with the signal, with its reason", async () => {
  await using server = await WebUiDoor.open(door.reset);
  const context = testContext();
  const call = clientFor(server.url).call({ ...request, tries: Number.POSITIVE_INFINITY }, context);
  server.plays = [
    door.reset,
    door.reset,
    door.reset,
    door.reset,
    () => context.controller.abort(new Error("stop")),
  ];
  await expect(call).rejects.toThrow("stop");
});

test("the signal ends the wait between two tries", async () => {
  const context = testContext();
  await using server = await WebUiDoor.open(answer(500));
  const call = clientFor(server.url, onlyBusy).call(request, {
    ...context,
    log: context.log.also(() => context.controller.abort(new Error("stop"))),
  });
  await expect(call).rejects.toThrow("stop");
});

test("timeoutMs of the request wins over the settings", async () => {
  await using server = await WebUiDoor.open(door.trickle(5));
  const call = clientFor(server.url).call({ ...request, tries: 1, timeoutMs: 30 }, testContext());
  await expect(call).rejects.toThrow("Connection error: Request timeout");
});

test("what is signed is what is sent", async () => {
  await using server = await WebUiDoor.open(answer(200));
  const client = clientFor(server.url, { now: () => 1_700_000_000_000 });
  await client.call({ path: "workers", query: { a: "b c", "d'": "(é)*~|" } }, testContext());
  const [seen] = server.requests;
  const path = seen!.line.split(" ")[1];
  expect(path).toBe("/api/v1/workers?a=b+c&d%27=%28%C3%A9%29*%7E%7C");
  const hash = createHmac("sha1", "SECRET").update(`${path}1700000000`).digest("hex");
  expect(seen!.headers).toMatchObject({ "x-api-key": "KEY", "x-api-hash": hash, accept: "application/json" });
});

test("a call with one try does not use a connection that was used before (field lesson 42)", async () => {
  await using server = await WebUiDoor.open(answer(200));
  const client = clientFor(server.url);
  await client.call(request, testContext());
  await client.call(request, testContext());
  expect(server.connections).toBe(1);
  await client.call({ ...request, tries: 1 }, testContext());
  expect(server.connections).toBe(2);
});

test("redirects are followed with their method and body, signed anew", async () => {
  await using target = await WebUiDoor.open(answer(200, '{"ok":1}'));
  await using server = await WebUiDoor.open(answer(302, "", [`Location: ${target.url}/moved?x=1`]));
  const answered = await clientFor(server.url).call(request, testContext());
  expect(answered.body).toEqual({ ok: 1 });
  const [seen] = target.requests;
  expect(seen!.line).toBe("POST /moved?x=1 HTTP/1.1");
  expect(seen!.body.toString()).toBe('{"status":{}}');
  const time = seen!.headers["x-api-microtime"];
  const hash = createHmac("sha1", "SECRET").update(`/moved?x=1${time}`).digest("hex");
  expect(seen!.headers["x-api-hash"]).toBe(hash);
});

test("credentials are not sent to another host name", async () => {
  await using target = await WebUiDoor.openAt("127.0.0.2", answer(200));
  await using server = await WebUiDoor.open(answer(307, "", [`Location: ${target.url}/`]));
  await clientFor(server.url).call(request, testContext());
  expect(target.requests[0]!.headers).not.toHaveProperty("x-api-key");
  expect(target.requests[0]!.headers).not.toHaveProperty("x-api-hash");
  expect(server.requests[0]!.headers).toHaveProperty("x-api-key");
});

test("a fourth redirect is not followed", async () => {
  const { server } = await failedCall(answer("302 Found", "", ["Location: /again"]), { restTries: 1 });
  expect(server.requests).toHaveLength(4);
});

test("portDelta counts from an explicit port", async () => {
  await using server = await WebUiDoor.open(answer(200));
  const client = clientFor(`http://127.0.0.1:${server.port - 2}`);
  await client.call({ ...request, path: "/liveviewhandler/x", portDelta: 2 }, testContext());
  expect(server.requests[0]!.line).toBe("POST /liveviewhandler/x HTTP/1.1");
});

test("without an explicit port there is nothing to add to", async () => {
  const urls: string[] = [];
  const fakeFetch = async (url: string) => {
    urls.push(url);
    return new Response("{}");
  };
  await clientFor("https://ui", { fetch: fakeFetch }).call({ path: "/l", portDelta: 2 }, testContext());
  expect(urls).toEqual(["https://ui/l"]);
});

test("the redirect at start moves everything after it; the name stays (field lesson 36)", async () => {
  await using target = await WebUiDoor.open(answer(200));
  await using server = await WebUiDoor.open(answer(302, "", [`Location: ${target.url}/elsewhere`]));
  const client = clientFor(`${server.url}/path`);
  const context = testContext();
  await client.adoptRedirect(context);
  expect(server.requests[0]!.line).toBe("HEAD /api/v1/workers?limit=0 HTTP/1.1");
  expect(client).toMatchObject({ url: target.url, host: { name: "ui" } });
  expect(context.entries.map(({ level }) => level)).toEqual(["warn"]);
  await client.call(request, testContext());
  expect(target.requests).toHaveLength(1);
});

test.each<[string, Play]>([
  ["200", answer(200, "")],
  ["500", answer(500, "")],
  ["no answer", door.hang],
  ["reset", door.reset],
])("at start %s changes nothing", async (_name, play) => {
  await using server = await WebUiDoor.open(play);
  const client = clientFor(server.url, { timeouts: { answerMs: 50 } });
  await client.adoptRedirect(testContext());
  expect(client.url).toBe(server.url);
});
