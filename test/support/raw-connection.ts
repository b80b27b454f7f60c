// The door of a fake server: a TCP listener in front of Bun.serve, so that a test can take the bare connection of a
// request and misbehave on it (reset, trickle, cut), and can close the door altogether.
import { connect, createServer, type Server, type Socket } from "node:net";

/** For others to let go of the port: a client, or a process that is just being forked, may have it. */
const reopenLimitMs = 10_000;
const reopenRetryMs = 20;

export class Door {
  private listener: Server | undefined;
  private readonly clients = new Map<Socket, Socket>();
  private readonly upstreamPort: number;
  port = 0;

  constructor(upstreamPort: number) {
    this.upstreamPort = upstreamPort;
  }

  /** Listens on a free port, later again on the same one. */
  async open(): Promise<void> {
    const deadline = performance.now() + reopenLimitMs;
    const listenAgain = async (error: NodeJS.ErrnoException): Promise<Server> => {
      if (error.code !== "EADDRINUSE" || performance.now() > deadline) throw error;
      await Bun.sleep(reopenRetryMs);
      return await this.listen().catch(listenAgain);
    };
    const listener = await this.listen().catch(listenAgain);
    this.listener = listener;
    const address = listener.address();
    if (address !== null && typeof address === "object") this.port = address.port;
  }

  private async listen(): Promise<Server> {
    const listener = createServer({ noDelay: true }, (client) => this.forward(client));
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.port, "127.0.0.1", resolve);
    });
    return listener;
  }

  /** Refuses new connections and resets those there are. */
  async close(): Promise<void> {
    const { listener } = this;
    this.listener = undefined;
    for (const [client, upstream] of this.clients) {
      client.resetAndDestroy();
      upstream.destroy();
    }
    this.clients.clear();
    if (listener) await new Promise((resolve) => listener.close(resolve));
  }

  /** Takes the client's connection that arrives at the server from this port; the server is cut off from it. */
  take(port: number): Socket {
    for (const [client, upstream] of this.clients) {
      if (upstream.localPort !== port) continue;
      upstream.unpipe(client);
      client.unpipe(upstream);
      client.resume();
      return client;
    }
    throw new Error(`No connection from port ${port}`);
  }

  private forward(client: Socket): void {
    const upstream = connect({ port: this.upstreamPort, host: "127.0.0.1", noDelay: true });
    this.clients.set(client, upstream);
    client.pipe(upstream).pipe(client);
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    client.on("close", () => {
      this.clients.delete(client);
      upstream.destroy();
    });
  }
}

/** What a request can meet instead of its answer. */
export type FaultAction =
  /** Any answer; without a body an empty one. The request has no other effect. */
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  /** The connection is closed without a word. No effect. */
  | "reset"
  /** Nothing comes, the connection stays open. No effect. */
  | "hang"
  /** The request takes effect, then the connection is reset. */
  | "lose answer"
  /** The request takes effect, the answer ends in the middle of its body. */
  | "cut answer"
  /** The request takes effect, but of its answer's body only so many bytes come; the connection stays open. */
  | { readonly stallAfter: number }
  /** The request takes effect, the answer comes byte by byte. */
  | { readonly msPerByte: number }
  /** The request takes effect, the answer comes when this is resolved; rejected, it is lost. */
  | { readonly until: Promise<unknown> }
  /** These bytes instead of HTTP, then the end. No effect. */
  | { readonly raw: string };

export const htmlPage: FaultAction = {
  status: 200,
  headers: { "content-type": "text/html" },
  body: "<!DOCTYPE html><html><body>Down for maintenance</body></html>",
};

/** The request is processed although its answer does not arrive well. */
export function hasEffect(action: FaultAction): boolean {
  if (typeof action === "object") return "msPerByte" in action || "stallAfter" in action;
  return action === "lose answer" || action === "cut answer";
}

/** Plays the actions that need the bare connection. */
export async function misbehave(
  client: Socket,
  action: FaultAction,
  answer: Response | undefined,
): Promise<void> {
  if (action === "reset" || action === "lose answer") client.resetAndDestroy();
  else if (action === "cut answer" && answer) {
    const bytes = await rawAnswer(answer);
    client.end(bytes.subarray(0, bytes.length - 5));
  } else if (typeof action === "object" && "raw" in action) client.end(action.raw);
  else if (typeof action === "object" && "msPerByte" in action && answer)
    trickle(client, await rawAnswer(answer), action.msPerByte);
  else if (typeof action === "object" && "stallAfter" in action && answer) {
    const bytes = await rawAnswer(answer);
    client.write(bytes.subarray(0, bytes.indexOf("\r\n\r\n") + 4 + action.stallAfter));
  }
}

async function rawAnswer(answer: Response): Promise<Buffer> {
  const body = Buffer.from(await answer.arrayBuffer());
  const headers = new Headers(answer.headers);
  headers.set("content-length", String(body.length));
  headers.set("connection", "close");
  const lines = [...headers].map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${answer.status} OK\r\n${lines.join("")}\r\n`), body]);
}

function trickle(client: Socket, bytes: Buffer, msPerByte: number): void {
  let sent = 0;
  const timer = setInterval(() => {
    client.write(bytes.subarray(sent, ++sent));
    if (sent === bytes.length) client.end();
    if (sent === bytes.length || client.destroyed) clearInterval(timer);
  }, msPerByte);
  client.on("close", () => clearInterval(timer));
}
