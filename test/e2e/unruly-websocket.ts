// A websocket through the unruly proxy: its pieces late but whole and in order, until the connection is cut at random.
import { connect, type Socket } from "node:net";
import type { Dice, Fault } from "./faults.ts";
import { Arrivals, Head } from "./raw-http.ts";
import { cut, type Incoming, refusal, reset } from "./unruly-exchange.ts";

/** Faults that come after the server's answer; what it has sent is then lost, and both sides' connections are cut. */
const lostUpgrades: readonly Fault[] = ["cut after", "reset in answer", "truncated", "shortened"];

/** Passes an upgrade request and what follows. The connection serves nothing else. */
export async function passWebsocket(fault: Fault, incoming: Incoming): Promise<boolean> {
  const { head, client, arrivals, roll, options, keep } = incoming;
  if (fault === "late") await Bun.sleep(roll() * options.maxDelayMs);
  if (fault === "cut before") return cut(client);
  if (fault === "reset in request") return reset(client);
  if (fault === "refused") {
    client.end(refusal(incoming));
    return false;
  }
  const server = keep(connect(options.target, "127.0.0.1"));
  server.write(head.bytes);
  const answers = new Arrivals(server);
  const answer = await Head.next(answers);
  if (answer === undefined || client.destroyed || lostUpgrades.includes(fault)) {
    cut(server);
    return cut(client);
  }
  client.write(answer.bytes);
  passPieces(client, arrivals, server, incoming);
  passPieces(server, answers, client, incoming);
  limitLife([client, server], incoming);
  return false;
}

/** All that has arrived goes out, also when the connection it came on was closed meanwhile. */
function passPieces(from: Socket, arrivals: Arrivals, to: Socket, { roll, options }: Incoming): void {
  let before: Promise<unknown> = Promise.resolve();
  arrivals.passOn((piece) => {
    const delayMs = roll() * options.maxFrameDelayMs;
    before = before.then(() => Bun.sleep(delayMs)).then(() => to.write(piece));
  });
  from.on("close", () => void before.then(() => to.end()));
}

function limitLife(sockets: readonly Socket[], { roll, options, note }: Incoming): void {
  const lifeMs = exponential(roll) * options.websocketLifeMs;
  const isReset = roll() < 0.5;
  const timer = setTimeout(() => {
    note("websocket", isReset ? "ended by a reset" : "cut");
    for (const socket of sockets) isReset ? reset(socket) : cut(socket);
  }, lifeMs);
  for (const socket of sockets) socket.on("close", () => clearTimeout(timer));
}

/** With a mean of 1. */
function exponential(roll: Dice): number {
  return -Math.log(1 - roll());
}
