// Numbers that nobody else uses: TCP ports for the server, instances for the workers.
import { connect, createServer } from "node:net";

/** First of `count` consecutive free TCP ports of loopback. Below the range that the kernel gives to clients. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const first = 26_000 + Math.floor(Math.random() * 6_000);
    if (await areFree(Array.from({ length: count }, (_, index) => first + index))) return first;
  }
  throw new Error(`found no ${count} free ports in a row`);
}

/**
 * First of `count` consecutive instance numbers, from 20, whose jobs can use the ports that openQA derives from the
 * number: isotovideo's and QEMU's from N * 10 + 20002, VNC at 5990 + N.
 */
export async function freeInstances(count: number): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const first = 20 + Math.floor(Math.random() * 400);
    const numbers = Array.from({ length: count }, (_, index) => first + index);
    const ports = numbers.flatMap((n) => [n * 10 + 20_002, n * 10 + 20_003, n * 10 + 20_014, 5990 + n]);
    if (await areFree(ports)) return first;
  }
  throw new Error(`found no ${count} free instance numbers in a row`);
}

async function areFree(ports: readonly number[]): Promise<boolean> {
  return (await Promise.all(ports.map(isFree))).every(Boolean);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Whether something accepts connections there. */
export function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
