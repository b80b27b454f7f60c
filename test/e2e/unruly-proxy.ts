// A proxy on loopback that ill-treats what goes through it: requests and answers late, cut, reset, refused, truncated,
// doubled; websockets late and cut. What happens when is up to a seed.
import { createServer, type Server, type Socket } from "node:net";
import { DiceByKind, type Fault, type FaultShares, faultOf, kindOf } from "./faults.ts";
import { Arrivals, Head } from "./raw-http.ts";
import { BrokenOff, passRequest } from "./unruly-exchange.ts";
import { passWebsocket } from "./unruly-websocket.ts";

export interface UnrulyOptions {
  /** Port of loopback that it passes on to. */
  readonly target: number;
  readonly seed: number;
  /** Of requests of one kind, "POST /api/v1/jobs/N/set_done". */
  readonly shares: (kind: string) => FaultShares;
  /** Statuses of its own answers. */
  readonly refusals: readonly number[];
  /** Most that a request is kept waiting. */
  readonly maxDelayMs: number;
  /** Most that a piece of a websocket is kept waiting. */
  readonly maxFrameDelayMs: number;
  /** How long websockets live on average. */
  readonly websocketLifeMs: number;
}

export class UnrulyProxy implements AsyncDisposable {
  private readonly sockets = new Set<Socket>();
  private readonly dice: DiceByKind;
  private readonly counts = new Map<string, number>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
    private readonly options: UnrulyOptions,
  ) {
    this.dice = new DiceByKind(options.seed);
  }

  static async open(options: UnrulyOptions): Promise<UnrulyProxy> {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
      });
    });
    const proxy = new UnrulyProxy(server, port, options);
    server.on("connection", (client) => void proxy.serve(proxy.keep(client)));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** How often what happened to which kind of request, most often first: "GET /api/v1/jobs/N: late". */
  get happened(): ReadonlyMap<string, number> {
    return new Map([...this.counts].toSorted(([, one], [, other]) => other - one));
  }

  /** How many requests met with this, whatever their kind. */
  count(fault: Fault): number {
    const found = [...this.counts].filter(([what]) => what.endsWith(`: ${fault}`));
    return found.reduce((sum, [, times]) => sum + times, 0);
  }

  private readonly note = (kind: string, what: string): void => {
    this.counts.set(`${kind}: ${what}`, (this.counts.get(`${kind}: ${what}`) ?? 0) + 1);
  };

  private readonly keep = (socket: Socket): Socket => {
    this.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    return socket;
  };

  /** One request after the other, until one ends the connection. */
  private async serve(client: Socket): Promise<void> {
    const arrivals = new Arrivals(client);
    try {
      for (let goesOn = true; goesOn; ) {
        const head = await Head.next(arrivals);
        if (head === undefined) return;
        const [method = "", target = ""] = head.firstLine.split(" ");
        const kind = kindOf(method, target);
        const roll = this.dice.for(kind);
        const fault = faultOf(roll, this.options.shares(kind));
        this.note(kind, fault);
        const { options, keep, note } = this;
        const pass = head.field("upgrade") === undefined ? passRequest : passWebsocket;
        goesOn = await pass(fault, { head, arrivals, client, roll, options, keep, note });
      }
    } catch (error) {
      client.destroy();
      if (!(error instanceof BrokenOff)) console.error("unruly proxy:", error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
