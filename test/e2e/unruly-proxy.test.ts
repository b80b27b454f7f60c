// The unruly proxy before a web server that notes what it gets: each fault by itself.
import { expect, test } from "bun:test";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { dice, type Fault, type FaultShares, faultOf } from "./faults.ts";
import { type UnrulyOptions, UnrulyProxy } from "./unruly-proxy.ts";

const answerText = "an answer of some length";

class Target implements AsyncDisposable {
  /** "METHOD PATH: BODY" of each request that came in whole. */
  readonly seen: string[] = [];
  /** Of each request that did not. */
  readonly broken = Promise.withResolvers<void>();
  readonly websockets = new WebSocketServer({ noServer: true });

  private constructor(private readonly server: Server) {}

  static async open(): Promise<Target> {
    const server = createServer();
    const target = new Target(server);
    server.on("request", async (request, response) => {
      const body = await bodyOf(request).catch(() => undefined);
      if (body === undefined) return target.broken.resolve();
      target.seen.push(`${request.method} ${request.url}: ${body}`);
      response.setHeader("content-length", answerText.length);
      response.end(request.method === "HEAD" ? undefined : answerText);
    });
    server.on("upgrade", (request, socket, head) =>
      target.websockets.handleUpgrade(request, socket, head, (websocket) =>
        target.websockets.emit("connection", websocket),
      ),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return target;
  }

  get port(): number {
    const address = this.server.address();
    return typeof address === "object" ? (address?.port ?? 0) : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const websocket of this.websockets.clients) websocket.terminate();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const piece of request) body += piece;
  if (!request.complete) throw new Error("broken off");
  return body;
}

function open(target: Target, shares: FaultShares, more: Partial<UnrulyOptions> = {}): Promise<UnrulyProxy> {
  return UnrulyProxy.open({
    target: target.port,
    seed: 1,
    shares: () => shares,
    refusals: [503],
    maxDelayMs: 5,
    maxFrameDelayMs: 5,
    websocketLifeMs: 60_000,
    ...more,
  });
}

async function post(proxy: UnrulyProxy, body = "a body"): Promise<string> {
  try {
    const answer = await fetch(`${proxy.url}/path?q=1`, { method: "POST", body, proxy: "" });
    return `${answer.status} ${await answer.text()}`;
  } catch {
    return "no answer";
  }
}

const once = ["POST /path?q=1: a body"];
const half = answerText.slice(0, answerText.length / 2);

test.each<[Fault, string, readonly string[]]>([
  ["none", `200 ${answerText}`, once],
  ["late", `200 ${answerText}`, once],
  ["cut before", "no answer", []],
  ["cut after", "no answer", once],
  ["reset in request", "no answer", []],
  ["reset in answer", "no answer", once],
  ["refused", "503 <html>503</html>\n", []],
  ["truncated", "no answer", once],
  ["shortened", `200 ${half}`, once],
  ["twice", `200 ${answerText}`, [...once, ...once]],
])("%s: the client gets %p, the server %j", async (fault, answer, seen) => {
  await using target = await Target.open();
  await using proxy = await open(target, { [fault]: 1 });
  expect(await post(proxy)).toBe(answer);
  expect(target.seen).toEqual([...seen]);
  expect(proxy.count(fault)).toBe(1);
});

test("a request that is reset has reached the server in part", async () => {
  await using target = await Target.open();
  await using proxy = await open(target, { "reset in request": 1 });
  expect(await post(proxy, "x".repeat(200_000))).toBe("no answer");
  await target.broken.promise;
});

test("what meets with no fault passes as it is, one after the other on one connection", async () => {
  await using target = await Target.open();
  await using proxy = await open(target, {});
  const big = "0123456789".repeat(300_000);
  for (const body of ["one", big, "three"]) expect(await post(proxy, body)).toBe(`200 ${answerText}`);
  const streamed = new ReadableStream({
    start(controller) {
      for (const piece of ["in ", "chunks"]) controller.enqueue(new TextEncoder().encode(piece));
      controller.close();
    },
  });
  await fetch(`${proxy.url}/chunked`, { method: "POST", body: streamed, proxy: "" });
  const head = await fetch(`${proxy.url}/head`, { method: "HEAD", proxy: "" });
  expect(head.headers.get("content-length")).toBe(String(answerText.length));
  const bodies = target.seen.map((line) => line.replace(/^.*?: /, ""));
  expect(bodies).toEqual(["one", big, "three", "in chunks", ""]);
});

test("the same seed is the same fate", () => {
  const shares = { late: 0.3, refused: 0.3 };
  const fates = (seed: number) => {
    const roll = dice(seed);
    return Array.from({ length: 50 }, () => faultOf(roll, shares));
  };
  expect(fates(7)).toEqual(fates(7));
  expect(fates(7)).not.toEqual(fates(8));
  expect(new Set(fates(7))).toEqual(new Set(["none", "late", "refused"]));
});

test("frames of a websocket come late, but all and in order, the last ones before its close", async () => {
  await using target = await Target.open();
  await using proxy = await open(target, {});
  const received = Promise.withResolvers<string[]>();
  target.websockets.on("connection", (websocket: WebSocket) => {
    const texts: string[] = [];
    websocket.on("message", (text) => texts.push(String(text)));
    websocket.on("close", () => received.resolve(texts));
    websocket.send("welcome");
  });
  const client = new WebSocket(proxy.url.replace("http", "ws"));
  await new Promise((resolve) => client.on("message", resolve));
  const texts = Array.from({ length: 100 }, (_, index) => `message ${index}`);
  for (const text of texts) client.send(text);
  client.close();
  expect(await received.promise).toEqual(texts);
});

test.each<[Fault]>([["cut before"], ["cut after"], ["reset in request"], ["truncated"], ["refused"]])(
  "an upgrade that is %s fails",
  async (fault) => {
    await using target = await Target.open();
    await using proxy = await open(target, { [fault]: 1 });
    const client = new WebSocket(proxy.url.replace("http", "ws"));
    await new Promise((resolve) => client.on("error", resolve));
    expect(client.readyState).not.toBe(WebSocket.OPEN);
  },
);

test("a websocket ends for both sides when its time is over", async () => {
  await using target = await Target.open();
  await using proxy = await open(target, {}, { websocketLifeMs: 1 });
  const left = new Promise((resolve) =>
    target.websockets.on("connection", (websocket: WebSocket) => websocket.on("close", resolve)),
  );
  const client = new WebSocket(proxy.url.replace("http", "ws"));
  const closed = new Promise((resolve) => client.on("close", resolve));
  client.on("error", () => {});
  await Promise.all([left, closed]);
});
