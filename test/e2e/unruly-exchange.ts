// One request through the unruly proxy, with the fault that it meets with.
import { connect, type Socket } from "node:net";
import type { Dice, Fault } from "./faults.ts";
import { Arrivals, Head, nextBody } from "./raw-http.ts";
import type { UnrulyOptions } from "./unruly-proxy.ts";

/** A request of which the head has arrived. */
export interface Incoming {
  readonly head: Head;
  readonly arrivals: Arrivals;
  readonly client: Socket;
  readonly roll: Dice;
  readonly options: UnrulyOptions;
  /** Has a socket closed with the proxy. */
  readonly keep: (socket: Socket) => Socket;
  readonly note: (kind: string, what: string) => void;
}

interface Message {
  readonly head: Head;
  readonly body: Buffer;
}

/** One of the two sides has left amid a request. */
export class BrokenOff extends Error {}

/** Resolves with whether the connection serves another request. Throws `BrokenOff`. */
export async function passRequest(fault: Fault, incoming: Incoming): Promise<boolean> {
  const { head, arrivals, client, roll, options } = incoming;
  if (fault === "reset in request") {
    await forwardHalf(incoming);
    return reset(client);
  }
  const request = { head, body: await nextBody(head, arrivals) };
  if (fault === "late") await Bun.sleep(roll() * options.maxDelayMs);
  if (fault === "cut before") return cut(client);
  if (fault === "refused") {
    client.write(refusal(incoming));
    return true;
  }
  if (fault === "twice") await exchange(request, incoming);
  const answer = await exchange(request, incoming);
  if (fault === "cut after") return cut(client);
  return giveAnswer(fault, answer, incoming);
}

/** Sends the request over a connection of its own. */
async function exchange({ head, body }: Message, { client, keep, options }: Incoming): Promise<Message> {
  const server = keep(connect(options.target, "127.0.0.1"));
  const leave = () => server.destroy();
  client.once("close", leave);
  try {
    const arrivals = new Arrivals(server);
    server.write(Buffer.concat([head.with("Connection", "close").bytes, body]));
    const answer = await Head.next(arrivals);
    const content = await arrivals.rest();
    if (answer === undefined || client.destroyed) throw new BrokenOff();
    return { head: answer, body: content };
  } finally {
    client.off("close", leave);
    leave();
  }
}

async function forwardHalf({ head, arrivals, keep, options }: Incoming): Promise<void> {
  const half = await arrivals.next(Math.floor(head.contentBytes / 2));
  const server = keep(connect(options.target, "127.0.0.1"));
  // Without a body it is the head that comes in half.
  const bytes = head.contentBytes > 1 ? Buffer.concat([head.bytes, half]) : head.bytes.subarray(0, -2);
  await new Promise<void>((resolve) => {
    server.on("close", () => resolve());
    server.write(bytes, () => reset(server));
  });
}

function giveAnswer(fault: Fault, { head, body }: Message, { head: request, client }: Incoming): boolean {
  const isForHead = request.firstLine.startsWith("HEAD ");
  const half = body.subarray(0, Math.floor(body.length / 2));
  const hasLength = head.field("content-length") !== undefined;
  if (fault === "reset in answer") return reset(client, Buffer.concat([head.bytes, half]));
  if (fault === "truncated" || (fault === "shortened" && !hasLength)) {
    // Without a body it is the head that ends early.
    client.end(body.length > 0 ? Buffer.concat([head.bytes, half]) : head.bytes.subarray(0, -2));
    return false;
  }
  const isShortened = fault === "shortened" && !isForHead;
  const sent = isShortened ? half : body;
  const announced = isShortened ? head.with("Content-Length", String(sent.length)) : head;
  const knowsItsEnd = hasLength || isForHead || head.field("transfer-encoding") !== undefined;
  const bytes = Buffer.concat([announced.with("Connection", knowsItsEnd ? undefined : "close").bytes, sent]);
  if (knowsItsEnd) client.write(bytes);
  else client.end(bytes);
  return knowsItsEnd;
}

/** An answer of the proxy's own. */
export function refusal({ roll, options: { refusals } }: Incoming): string {
  const status = refusals[Math.floor(roll() * refusals.length)] ?? 503;
  const body = `<html>${status}</html>\n`;
  const fields = `Content-Type: text/html\r\nContent-Length: ${body.length}\r\n`;
  const retryAfter = status === 429 ? "Retry-After: 1\r\n" : "";
  return `HTTP/1.1 ${status} Not Now\r\n${fields}${retryAfter}\r\n${body}`;
}

export function cut(socket: Socket): false {
  socket.destroy();
  return false;
}

/** `last`: what is still sent; a reset makes the other side lose what it has not read yet, often enough all of it. */
export function reset(socket: Socket, last?: Buffer): false {
  if (last === undefined) socket.resetAndDestroy();
  else socket.write(last, () => socket.resetAndDestroy());
  return false;
}
