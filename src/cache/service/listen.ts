// Listening on several addresses, all or none.
import type { Context } from "../../context.ts";
import { errorText, UsageError } from "../../errors.ts";
import { findCacheService } from "./find-cache-service.ts";

export interface ListenAddress {
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
}

export type Listener = Bun.Server<undefined>;

const maxBodyBytes = 64 * 1024;
const idleTimeoutS = 60;

/** A host without IPv6, say. */
const absentCodes: readonly unknown[] = ["EADDRNOTAVAIL", "EAFNOSUPPORT"];

/**
 * Throws `UsageError` when an address is in use or may not be used, or when the host has none of them. Those that it
 * does not have are left out otherwise, with a warning.
 */
export async function listenOnAll(
  addresses: readonly ListenAddress[],
  answer: (request: Request) => Promise<Response>,
  context: Context,
): Promise<readonly Listener[]> {
  const listeners: Listener[] = [];
  const absent: string[] = [];
  for (const address of addresses) {
    try {
      listeners.push(listenOn(address, answer, context));
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      const why = code === "EADDRINUSE" ? await describeHolder(address, context) : errorText(error);
      const text = `Cannot listen on ${addressText(address)}: ${why}`;
      if (absentCodes.includes(code)) {
        absent.push(text);
        continue;
      }
      await stopAll(listeners);
      throw new UsageError(text, { cause: error });
    }
  }
  if (listeners.length === 0) throw new UsageError(absent.join("; "));
  for (const text of absent) context.log.warn(text);
  return listeners;
}

/** Ends their connections as well. */
export async function stopAll(listeners: readonly Listener[]): Promise<void> {
  await Promise.all(listeners.map((listener) => listener.stop(true)));
}

function listenOn(
  { hostname, port }: ListenAddress,
  answer: (request: Request) => Promise<Response>,
  { log }: Context,
): Listener {
  return Bun.serve({
    hostname,
    port,
    development: false,
    // Said explicitly: Bun would otherwise share the port with whoever listens there, unless in development.
    reusePort: false,
    maxRequestBodySize: maxBodyBytes,
    idleTimeout: idleTimeoutS,
    fetch: answer,
    error(error) {
      log.error(`Cannot answer a request: ${errorText(error)}`);
      return Response.json({ error: errorText(error) }, { status: 500 });
    },
  });
}

async function describeHolder(address: ListenAddress, context: Context): Promise<string> {
  const holder = await findCacheService(`http://${addressText(address)}`, context);
  if (holder === "stock")
    return (
      "a stock cache service runs there. Stop it first (systemctl stop openqa-worker-cacheservice " +
      "openqa-worker-cacheservice-minion), or choose another address with --listen"
    );
  if (holder === "ours") return 'another "cache serve" runs there already';
  return "another program listens there. Choose another address with --listen";
}

function addressText({ hostname, port }: ListenAddress): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}
