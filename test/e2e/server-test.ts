// Tests on a server that keep the logs of all its programs when they fail.
import { test } from "bun:test";
import type { OpenqaServer } from "./server.ts";

/** Longer than anything in a test takes: at its own time-outs Bun kills the server as well. */
export const limitMs = 400_000;

/** `server`: it is started only after the tests were defined. `define`: for tests that run at once, for example. */
export function serverTest(
  name: string,
  server: () => OpenqaServer,
  body: () => Promise<void>,
  define: typeof test.concurrent = test,
): void {
  define(
    name,
    async () => {
      try {
        await body();
      } catch (error) {
        console.error(`${name}: logs kept in ${await server().keepLogs()}`);
        throw error;
      }
    },
    limitMs,
  );
}
