// A connection to a port of this host that stalls: what a download looks like that has to be broken off midway.
import { connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";

/** Passes connections on; of each answer only the first so many bytes. */
export class StallingLink implements AsyncDisposable {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async open(target: number, passedBytes: number): Promise<StallingLink> {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
      });
    });
    const link = new StallingLink(server, port);
    server.on("connection", (client) => link.pass(client, target, passedBytes));
    return link;
  }

  private pass(client: Socket, target: number, passedBytes: number): void {
    const onward = connect(target, "127.0.0.1");
    let left = passedBytes;
    // Once there is nothing left the next piece is never taken: the sender has to wait.
    const narrow = new Transform({
      transform: (chunk: Buffer, _, done) => {
        const passed = chunk.subarray(0, left);
        left -= passed.length;
        if (left > 0) done(null, passed);
        else narrow.push(passed);
      },
    });
    client.pipe(onward);
    onward.pipe(narrow).pipe(client);
    client.on("close", () => onward.destroy());
    for (const socket of [client, onward]) {
      this.sockets.add(socket);
      socket.on("error", () => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
