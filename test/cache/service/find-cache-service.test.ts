import { describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import { findCacheService } from "../../../src/cache/service/service-client.ts";
import { silentLog } from "../../../src/ops/log.ts";
import { idleInfo, json, ScriptedService, text } from "./scripted-service.ts";

const context = { signal: new AbortController().signal, log: silentLog };

/** The URL of a listener that plays with connections. */
async function listener(play: (socket: Socket) => void) {
  const server = createServer(play);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { url: `http://127.0.0.1:${address.port}`, [Symbol.dispose]: () => void server.close() };
}

describe("who answers where a cache service would", () => {
  test("nobody, when connections are refused", async () => {
    expect(await findCacheService("http://127.0.0.1:1", context)).toBeUndefined();
  });

  test("a stock service, by what it counts", async () => {
    await using service = new ScriptedService({ "GET /info": json(idleInfo) });
    expect(await findCacheService(service.url, context)).toBe("stock");
  });

  test("a stock service whose database is broken, by its server's name", async () => {
    const headers = { Server: "Mojolicious (Perl)" };
    await using service = new ScriptedService({
      "GET /info": text("<html>", { status: 500, headers }),
    });
    expect(await findCacheService(service.url, context)).toBe("stock");
  });

  test("a stock service, as far as one can know, where a connection gets no answer", async () => {
    using hanging = await listener(() => {});
    expect(await findCacheService(hanging.url, context)).toBe("stock");
    using closing = await listener((socket) => socket.end());
    expect(await findCacheService(closing.url, context)).toBe("stock");
  });

  test("none, where a web server knows no such page", async () => {
    await using service = new ScriptedService({ "GET /info": text("Not found", { status: 404 }) });
    expect(await findCacheService(service.url, context)).toBeUndefined();
  });

  test("none, where another service has some information", async () => {
    await using service = new ScriptedService({
      "GET /info": json({ version: 3, service: "openqa-worker" }),
    });
    expect(await findCacheService(service.url, context)).toBeUndefined();
  });
});

test("a proxy in the environment is not asked", async () => {
  await using service = new ScriptedService({ "GET /info": json(idleInfo) });
  await using proxy = new ScriptedService({});
  const module = new URL("../../../src/cache/service/service-client.ts", import.meta.url).pathname;
  const script = `
    const { findCacheService } = await import(${JSON.stringify(module)});
    const context = { signal: new AbortController().signal, log: undefined };
    console.log(await findCacheService(${JSON.stringify(service.url)}, context));`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { http_proxy: proxy.url, HTTP_PROXY: proxy.url, ALL_PROXY: proxy.url },
    stdout: "pipe",
  });
  expect(await new Response(child.stdout).text()).toBe("stock\n");
  expect(proxy.calls).toEqual([]);
});
