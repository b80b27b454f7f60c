// A websocket server of bare bytes, for what a well-behaved library would not do.
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { Play } from "./web-ui-door.ts";

/** Upgrades by hand, so that the test holds the bare connection. */
export function upgrade(then: (socket: Socket) => void = () => {}): Play {
  return ({ socket, headers }) => {
    if (headers["upgrade"] === undefined) return;
    const key = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    socket.cork();
    socket.write(`${head.join("\r\n")}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.removeAllListeners("data");
    then(socket);
    socket.uncork();
  };
}

/** One unmasked frame of up to 65535 bytes. */
export function frame(opcode: number, payload: Buffer | string): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.from([0x80 | opcode, Math.min(body.length, 126), body.length >> 8, body.length & 255]);
  return Buffer.concat([body.length < 126 ? head.subarray(0, 2) : head, body]);
}
export const closeFrame = (code: number, reason: string) =>
  frame(8, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));
