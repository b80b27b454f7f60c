// HTTP/1.1 as bytes on a connection: reading requests and answers whole or in part, and changing little in them. For
// a proxy that has to be able to break both off anywhere.
import type { Socket } from "node:net";

/** Nothing in these tests is bigger. */
const maxHeldBytes = 64 * 1024 * 1024;
const headEnd = Buffer.from("\r\n\r\n");

/** What arrives on a connection, to be taken piece by piece. */
export class Arrivals {
  private held: Buffer = Buffer.alloc(0);
  private isOver = false;
  private wake: () => void = () => {};
  private onward: ((piece: Buffer) => void) | undefined;

  constructor(private readonly socket: Socket) {
    socket.on("data", (piece: Buffer) => this.add(piece));
    for (const event of ["end", "close", "error"]) socket.on(event, () => this.end());
  }

  private add(piece: Buffer): void {
    if (this.onward) this.onward(piece);
    else this.held = Buffer.concat([this.held, piece]);
    if (this.held.length > maxHeldBytes) this.socket.destroy();
    this.wake();
  }

  private end(): void {
    this.isOver = true;
    this.wake();
  }

  /** The next bytes up to and with the marker; undefined when the connection ends before. */
  async through(marker: Buffer): Promise<Buffer | undefined> {
    await this.until(() => this.held.includes(marker));
    const at = this.held.indexOf(marker);
    return at < 0 ? undefined : this.take(at + marker.length);
  }

  /** The next so many bytes, fewer when the connection ends before. */
  async next(count: number): Promise<Buffer> {
    await this.until(() => this.held.length >= count);
    return this.take(Math.min(count, this.held.length));
  }

  /** Everything until the connection ends. */
  async rest(): Promise<Buffer> {
    await this.until(() => false);
    return this.take(this.held.length);
  }

  /** Hands on what is held and all that follows. */
  passOn(onward: (piece: Buffer) => void): void {
    if (this.held.length > 0) onward(this.take(this.held.length));
    this.onward = onward;
  }

  private take(count: number): Buffer {
    const taken = this.held.subarray(0, count);
    this.held = this.held.subarray(count);
    return taken;
  }

  private async until(isEnough: () => boolean): Promise<void> {
    while (!isEnough() && !this.isOver)
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
  }
}

/** Head of a request or an answer, with the empty line that ends it. */
export class Head {
  constructor(readonly text: string) {}

  static async next(arrivals: Arrivals): Promise<Head | undefined> {
    const bytes = await arrivals.through(headEnd);
    return bytes && new Head(bytes.toString("latin1"));
  }

  get bytes(): Buffer {
    return Buffer.from(this.text, "latin1");
  }

  get firstLine(): string {
    return this.text.slice(0, this.text.indexOf("\r\n"));
  }

  field(name: string): string | undefined {
    return new RegExp(`^${name}:[ \\t]*(.*?)\\r$`, "im").exec(this.text)?.[1];
  }

  /** Another head, with that field in place of what it was. Undefined: without. */
  with(name: string, value: string | undefined): Head {
    const others = this.text.replace(new RegExp(`^${name}:.*\\r\\n`, "gim"), "").slice(0, -2);
    return new Head(`${others}${value === undefined ? "" : `${name}: ${value}\r\n`}\r\n`);
  }

  get contentBytes(): number {
    return Number(this.field("content-length") ?? 0);
  }
}

/** The body of a request as it is on the wire; shorter when the connection ends before. */
export async function nextBody(head: Head, arrivals: Arrivals): Promise<Buffer> {
  if (!head.field("transfer-encoding")?.includes("chunked")) return arrivals.next(head.contentBytes);
  const pieces: Buffer[] = [];
  for (;;) {
    const line = await arrivals.through(Buffer.from("\r\n"));
    if (line === undefined) return Buffer.concat(pieces);
    const sizeBytes = Number.parseInt(line.toString("latin1"), 16);
    pieces.push(line, await arrivals.next(sizeBytes + 2));
    if (sizeBytes === 0) return Buffer.concat(pieces);
  }
}
