import { afterEach, expect, test } from "bun:test";
import { announceStop } from "../../src/isotovideo/command-server.ts";
import { type LogEntry, Logger } from "../../src/ops/log.ts";

let server: Bun.Server<undefined> | undefined;
afterEach(() => server?.stop(true));

function serve(fetch: (request: Request) => Response | Promise<Response>): string {
  server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  return `http://127.0.0.1:${server.port}/TOKEN`;
}

function listening() {
  const logged: LogEntry[] = [];
  const log = new Logger([(entry) => logged.push(entry)]);
  return { logged, context: { signal: new AbortController().signal, log } };
}

test("a stop is announced on the command server", async () => {
  const requests: unknown[] = [];
  const url = serve(async (request) => {
    requests.push([request.method, new URL(request.url).pathname, await request.json()]);
    return new Response("ok");
  });
  const { logged, context } = listening();
  await announceStop(url, "cancel", context);
  expect(requests).toEqual([["POST", "/TOKEN/broadcast", { stopping_test_execution: "cancel" }]]);
  expect(logged).toEqual([]);
});

test.each<[string, () => string]>([
  ["refuses", () => serve(() => new Response("no", { status: 404 }))],
  ["redirects", () => serve(() => Response.redirect("http://127.0.0.1:1/"))],
  ["does not answer", () => serve(() => new Promise<Response>(() => {}))],
  ["is not there", () => "http://127.0.0.1:1/TOKEN"],
])("a command server that %s does not matter", async (_, start) => {
  const { logged, context } = listening();
  await announceStop(start(), "timeout", context, { timeoutMs: 100 });
  expect(logged.map(({ level }) => level)).toEqual(["debug"]);
});
