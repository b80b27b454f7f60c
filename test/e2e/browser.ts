// What a browser does on the pages of a running job: it logs in, follows the live view and drives the developer mode.
import { WebSocket } from "ws";
import { z } from "zod";
import type { OpenqaServer } from "./server.ts";
import { until } from "./until.ts";

const messageLimitMs = 40_000;

const consoleMessage = z.object({ type: z.string(), what: z.string(), data: z.unknown() });
export type ConsoleMessage = z.infer<typeof consoleMessage>;

export class Browser {
  private constructor(
    private readonly server: OpenqaServer,
    private readonly cookie: string,
  ) {}

  /** As the one user that the server's fake login has. */
  static async logIn(server: OpenqaServer): Promise<Browser> {
    const answer = await fetch(`${server.url}/login`, { redirect: "manual" });
    const [cookie] = answer.headers.getSetCookie();
    if (cookie === undefined) throw new Error(`no session from /login: ${answer.status}`);
    return new Browser(server, cookie.split(";")[0] ?? "");
  }

  async json(path: string): Promise<unknown> {
    return (await fetch(this.server.url + path, { headers: { Cookie: this.cookie } })).json();
  }

  /** Server-sent events, as they arrive. */
  follow(path: string): EventStream {
    return new EventStream(this.server.url + path, this.cookie);
  }

  /** Opens the developer mode of a job. */
  openConsole(id: number): DeveloperConsole {
    const port = this.server.ports.proxy + 2;
    const url = `ws://127.0.0.1:${port}/liveviewhandler/tests/${id}/developer/ws-proxy`;
    return new DeveloperConsole(new WebSocket(url, { headers: { Cookie: this.cookie } }));
  }
}

export class EventStream {
  /** Data of each event until now. */
  readonly events: string[] = [];
  private readonly abort = new AbortController();
  private readonly isRead: Promise<void>;

  constructor(url: string, cookie: string) {
    this.isRead = this.read(url, cookie).catch((error) => {
      // Whoever waits for events sees that there are none.
      if (!this.abort.signal.aborted) console.error(`${url}: ${error}`);
    });
  }

  close(): Promise<void> {
    this.abort.abort();
    return this.isRead;
  }

  private async read(url: string, cookie: string): Promise<void> {
    const answer = await fetch(url, { headers: { Cookie: cookie }, signal: this.abort.signal });
    if (!answer.ok || !answer.body) throw new Error(`${url}: ${answer.status}`);
    let pending = "";
    for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
      const events = (pending + text).split("\n\n");
      pending = events.pop() ?? "";
      this.events.push(...events.map((event) => event.replace(/^data: /, "")));
    }
  }
}

export class DeveloperConsole {
  private readonly messages: ConsoleMessage[] = [];
  private failure: Error | undefined;

  constructor(private readonly socket: WebSocket) {
    socket.on("message", (data) => this.messages.push(consoleMessage.parse(JSON.parse(data.toString()))));
    socket.on("error", (error) => (this.failure = error));
  }

  send(command: Readonly<Record<string, unknown>>): void {
    this.socket.send(JSON.stringify(command));
  }

  /** The first message from now on, or not yet asked for, that fits; those before it are never looked at again. */
  async next(what: string, fits: (message: ConsoleMessage) => boolean): Promise<ConsoleMessage> {
    return until(`the console says: ${what}`, messageLimitMs, async () => {
      if (this.failure) throw this.failure;
      const index = this.messages.findIndex(fits);
      return index < 0 ? undefined : this.messages.splice(0, index + 1).at(-1);
    }).catch((error) => {
      throw new Error(`${error.message}; it said ${JSON.stringify(this.messages)}`);
    });
  }

  close(): void {
    this.socket.close();
  }
}
