// A raw socket server that plays a web UI: reads whole requests, answers bytes, or misbehaves. And a client for it.

import { createServer, type Server, type Socket } from "node:net";
import type { Settings, WebUiHostSettings } from "../../src/config/settings.ts";
import type { Context } from "../../src/context.ts";
import { type LogEntry, Logger } from "../../src/ops/log.ts";
import { RestClient, type RestClientOptions } from "../../src/webui/rest-client.ts";
import { smallOwnSettings } from "../support/small-settings.ts";

export interface RawRequest {
  readonly line: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly socket: Socket;
}

export type Play = (request: RawRequest) => void;

export class WebUiDoor {
  readonly requests: RawRequest[] = [];
  /** Connections accepted so far. */
  connections = 0;
  /** What the next requests meet, in order; the last one goes on. */
  plays: Play[] = [];
  /** Does not read bodies: the play comes right after the head. */
  headOnly = false;
  private readonly sockets = new Set<Socket>();
  private constructor(
    private readonly server: Server,
    private readonly host: string,
    readonly port: number,
  ) {}

  static open(...plays: Play[]): Promise<WebUiDoor> {
    return WebUiDoor.openAt("127.0.0.1", ...plays);
  }

  static async openAt(host: string, ...plays: Play[]): Promise<WebUiDoor> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("No port");
    const door = new WebUiDoor(server, host, address.port);
    door.plays = plays;
    server.on("connection", (socket) => door.welcome(socket));
    return door;
  }

  get url(): string {
    return `http://${this.host}:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private welcome(socket: Socket): void {
    this.connections++;
    this.sockets.add(socket);
    let received = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      const request = readRequest(received, socket, this.headOnly);
      if (request === undefined) return;
      received = Buffer.alloc(0);
      this.requests.push(request);
      const play = this.plays.length > 1 ? this.plays.shift() : this.plays[0];
      play?.(request);
    });
  }
}

function readRequest(bytes: Buffer, socket: Socket, headOnly: boolean): RawRequest | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((each) => [each.slice(0, each.indexOf(":")).toLowerCase(), each.slice(each.indexOf(":") + 2)]),
  );
  const body = bytes.subarray(end + 4);
  if (!headOnly && body.length < Number(headers["content-length"] ?? 0)) return undefined;
  return { line, headers, body, socket };
}

/** An answer with its length; `status` may have a phrase: "503 Busy". */
export function answer(status: number | string, body = "{}", headers: readonly string[] = []): Play {
  const head = [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body)}`, ...headers];
  return ({ socket }) => socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
}
export const reset: Play = ({ socket }) => socket.resetAndDestroy();
export const close: Play = ({ socket }) => socket.end();
export const hang: Play = () => {};
export const garbage: Play = ({ socket }) => socket.end("this is no HTTP\r\n\r\n");
export const cut: Play = ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"result"');

/** Begins an answer, then sends a byte each `ms` for ever. */
export function trickle(ms: number): Play {
  return ({ socket }) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    const timer = setInterval(() => socket.write(" "), ms);
    socket.on("close", () => clearInterval(timer));
  };
}

export interface ClientChanges extends Omit<Partial<RestClientOptions>, "host" | "settings"> {
  readonly host?: Partial<WebUiHostSettings>;
  readonly timeouts?: Partial<Settings["own"]["timeouts"]>;
  readonly limits?: Partial<Settings["own"]["limits"]>;
  readonly restTries?: number;
}

export function clientFor(url: string, changes: ClientChanges = {}): RestClient {
  const { host, timeouts, limits, restTries = 3, ...rest } = changes;
  return new RestClient({
    host: {
      name: "ui",
      url,
      shareDirectory: "/share",
      testPoolServer: undefined,
      credentials: { key: "KEY", secret: "SECRET" },
      retryDelayMs: 1,
      busyRetryDelayMs: 2,
      ...host,
    },
    settings: {
      restTries,
      own: {
        ...smallOwnSettings,
        timeouts: { ...smallOwnSettings.timeouts, ...timeouts },
        limits: { ...smallOwnSettings.limits, ...limits },
      },
    },
    random: () => 0,
    ...rest,
  });
}

export interface TestContext extends Context {
  readonly entries: LogEntry[];
  readonly controller: AbortController;
}

export function testContext(): TestContext {
  const entries: LogEntry[] = [];
  const controller = new AbortController();
  const log = new Logger([(entry) => entries.push(entry)]);
  return { entries, controller, log, signal: controller.signal };
}
