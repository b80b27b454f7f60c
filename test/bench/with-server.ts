// A real openQA server for as long as something is measured on it.
import { type OpenqaServer, startServer } from "../e2e/server.ts";
import type { ServerOptions } from "../e2e/server-setup.ts";

/** Starts a server, and stops it when `body` has ended. When that fails the server's logs are kept. */
export async function withServer<T>(
  body: (server: OpenqaServer) => Promise<T>,
  options: ServerOptions = {},
): Promise<T> {
  const server = await startServer(options);
  try {
    return await body(server);
  } catch (error) {
    await server.keepLogs();
    throw error;
  } finally {
    await server.stop();
  }
}
