// A web server that answers as a test says, down to the bytes: it can lie about lengths, cut, stall and trickle.
import { createServer, type Server, type Socket } from "node:net";

export interface RawRequest {
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export type Answer = (socket: Socket, request: RawRequest) => void;

export class RawAssetServer implements AsyncDisposable {
  readonly requests: RawRequest[] = [];
  /** For the next requests, one each; the last one stays. */
  answers: Answer[];
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  port = 0;

  constructor(...answers: Answer[]) {
    this.answers = answers;
  }

  static async listen(...answers: Answer[]): Promise<RawAssetServer> {
    const server = new RawAssetServer(...answers);
    await server.open();
    return server;
  }

  /** On a free port, later again on the same one. */
  async open(): Promise<void> {
    const server = createServer((socket) => this.accept(socket));
    this.server = server;
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    const address = server.address();
    if (address !== null && typeof address === "object") this.port = address.port;
  }

  /** Resets what is open and refuses what comes. */
  async close(): Promise<void> {
    for (const socket of this.sockets) socket.resetAndDestroy();
    await new Promise((resolve) => this.server?.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  url(path = "/tests/42/asset/hdd/disk.qcow2"): URL {
    return new URL(path, `http://127.0.0.1:${this.port}`);
  }

  /** A header in each of the requests. */
  sent(header: string): (string | undefined)[] {
    return this.requests.map(({ headers }) => headers[header]);
  }

  /** The first byte of each range that was asked for; undefined: the whole file was. */
  get starts(): (number | undefined)[] {
    return this.sent("range").map((range) => (range === undefined ? undefined : rangeStart(range)));
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.sockets.size;
  }

  private accept(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    let head = "";
    socket.on("data", (bytes) => {
      head += bytes.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      const request = parseHead(head);
      head = "";
      this.requests.push(request);
      const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
      answer?.(socket, request);
    });
  }
}

/** Of a header `Range: bytes=N-`; NaN when there is none. */
export function rangeStart(range = ""): number {
  return Number(/^bytes=(\d+)-$/.exec(range)?.[1] ?? Number.NaN);
}

function parseHead(text: string): RawRequest {
  const [first = "", ...lines] = text.trim().split("\r\n");
  const headers = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return { path: first.split(" ")[1] ?? "", headers: Object.fromEntries(headers) };
}

export type Headers = Readonly<Record<string, string | number>>;

export function headText(status: number, headers: Headers = {}): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Whatever\r\n${lines.join("")}\r\n`;
}

/** An answer with these headers and bytes, then the end. */
export function answer(status: number, headers: Headers = {}, body: string | Uint8Array = ""): Answer {
  return (socket) => {
    const length =
      "Content-Length" in headers || "Transfer-Encoding" in headers ? {} : { "Content-Length": body.length };
    socket.write(headText(status, { Connection: "close", ...length, ...headers }));
    socket.end(body);
  };
}

export interface FileOptions {
  readonly etag?: string;
  /** The web UI without a proxy sends a part of whatever the file is now. */
  readonly ignoresIfRange?: boolean;
  /** Bytes of the body after which nothing more comes. */
  readonly stallAfter?: number;
}

/** A file as nginx serves it: If-None-Match first, then a range if If-Range fits. */
export function file(content: Uint8Array, options: FileOptions = {}): Answer {
  const { etag, ignoresIfRange = false, stallAfter = content.length } = options;
  return (socket, { headers }) => {
    const tag: Headers = etag === undefined ? {} : { ETag: etag };
    const wanted = headers["if-none-match"];
    if (wanted !== undefined && wanted === etag) return void socket.end(headText(304, tag));
    const from = rangeStart(headers["range"]);
    const isRange = !Number.isNaN(from) && (ignoresIfRange || headers["if-range"] === etag);
    if (isRange && from >= content.length)
      return void socket.end(
        headText(416, { "Content-Range": `bytes */${content.length}`, "Content-Length": 0 }),
      );
    const body = content.subarray(isRange ? from : 0);
    const range = isRange ? { "Content-Range": `bytes ${from}-${content.length - 1}/${content.length}` } : {};
    socket.write(headText(isRange ? 206 : 200, { "Content-Length": body.length, ...tag, ...range }));
    socket.write(body.subarray(0, stallAfter));
    if (stallAfter >= body.length) socket.end();
  };
}
