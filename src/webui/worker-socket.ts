// One websocket to the web UI (protocol 2.5): opening it with its redirects, texts in and out, its end.
import type { IncomingMessage } from "node:http";
import WebSocket from "ws";
import type { Context } from "../context.ts";
import { errorText, exitCode, WorkerError } from "../errors.ts";
import { maxRedirects, redirectTarget } from "./authentication.ts";
import type { WorkerMessage } from "./messages.ts";
import type { RestClient } from "./rest-client.ts";

/** The upgrade was refused, or there was no connection. Never a reason to give a web UI host up. */
export class WebSocketError extends WorkerError {
  readonly exitCode = exitCode.failed;
  constructor(
    message: string,
    /** What the server asked for, at most `maxRetryAfterMs`. */
    readonly retryAfterMs: number | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export interface SocketEnd {
  readonly code: number;
  /** Empty when the peer gave none. */
  readonly reason: string;
}

export interface WorkerSocket {
  readonly url: string;
  /** False when the connection is down, or does not take anything any more. */
  send(message: WorkerMessage): boolean;
  readonly closed: Promise<SocketEnd>;
  /** Says goodbye; a peer that does not answer that is left after `closeGraceMs`. */
  close(): void;
}

const maxRetryAfterMs = 3_600_000;
const closeGraceMs = 1000;
/** Bytes that wait to be sent: a peer that leaves more lying is taken for dead. */
const maxUnsentBytes = 64 * 1024 * 1024;

/** Opens the websocket of the client's registration. `onText` gets each message. Throws `WebSocketError`. */
export async function openWorkerSocket(
  client: RestClient,
  onText: (text: string) => void,
  context: Context,
): Promise<WorkerSocket> {
  let url = new URL(`/api/v1/ws/${client.workerId}`, client.url.replace(/^http/, "ws"));
  const first = url.href;
  context.log.info(`Establishing ws connection via ${first}`);
  for (let redirects = 0; ; redirects++) {
    const opened = await upgrade(url, client, onText, context.signal);
    if ("send" in opened) return opened;
    const { response, cause } = opened;
    const target = response && redirectOf(response, url);
    if (target === undefined || redirects === maxRedirects) throw refusal(first, response, cause);
    url = target;
  }
}

function redirectOf({ statusCode = 0, headers }: IncomingMessage, from: URL): URL | undefined {
  const target = redirectTarget(statusCode, headers.location, from, ["http:", "https:", "ws:", "wss:"]);
  return target && new URL(target.href.replace(/^http/, "ws"));
}

function refusal(url: string, response: IncomingMessage | undefined, cause: unknown): WebSocketError {
  const why = response ? `code ${response.statusCode}` : errorText(cause);
  const text = `Unable to upgrade to ws connection via ${url}, ${why}`;
  return new WebSocketError(text, retryAfterMs(response?.headers["retry-after"]), { cause });
}

/** Retry-After is a number of seconds or a date. */
export function retryAfterMs(header: string | undefined, nowMs = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxRetryAfterMs);
}

interface Refused {
  readonly response: IncomingMessage | undefined;
  readonly cause: unknown;
}

/** One request. Throws only the signal's reason. */
async function upgrade(
  url: URL,
  client: RestClient,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<WorkerSocket | Refused> {
  signal.throwIfAborted();
  const { timeouts, limits } = client.settings.own;
  const socket = new WebSocket(url, {
    headers: client.headersFor(url),
    handshakeTimeout: timeouts.websocketMs,
    maxPayload: limits.maxFrameBytes,
    perMessageDeflate: true,
  });
  let fault: unknown;
  const abort = () => socket.terminate();
  signal.addEventListener("abort", abort, { once: true });
  // Here and not after the upgrade, as the first message may come with it.
  socket.on("message", (data) => onText(String(data)));
  const closed = new Promise<SocketEnd>((resolve) => {
    socket.on("close", (code, reason) => {
      signal.removeEventListener("abort", abort);
      resolve({ code, reason: String(reason) || errorTextOr(fault, "") });
    });
  });
  const refused = await new Promise<Refused | undefined>((resolve) => {
    socket.on("open", () => resolve(undefined));
    socket.on("unexpected-response", (_request, response) => {
      resolve({ response, cause: undefined });
      socket.terminate();
    });
    // Also faults of an open connection come here; "close" follows.
    socket.on("error", (error) => {
      fault = error;
      resolve({ response: undefined, cause: error });
    });
    socket.on("close", () => resolve({ response: undefined, cause: fault }));
  });
  signal.throwIfAborted();
  signal.removeEventListener("abort", abort);
  if (!refused)
    awaitSignsOfLife(socket, timeouts.idleMs, (error) => {
      fault = error;
      socket.terminate();
    });
  return refused ?? { url: url.href, closed, send: sender(socket), close: closer(socket) };
}

/** A server that has too much to do must not be burdened with everybody's new registration as well. */
const maxUnansweredPings = 5;

/** A peer that has vanished without a word looks like one that has nothing to say, for as long as TCP tries: it is asked. */
function awaitSignsOfLife(socket: WebSocket, pingMs: number, giveUp: (error: Error) => void): void {
  let unanswered = 0;
  const noteLife = () => {
    unanswered = 0;
  };
  socket.on("message", noteLife);
  socket.on("pong", noteLife);
  const timer = setInterval(() => {
    if (unanswered === maxUnansweredPings)
      return giveUp(new Error(`no sign of life within ${(pingMs * maxUnansweredPings) / 1000} s`));
    unanswered++;
    socket.ping();
  }, pingMs);
  socket.on("close", () => clearInterval(timer));
}

function errorTextOr(error: unknown, otherwise: string): string {
  return error === undefined ? otherwise : errorText(error);
}

function sender(socket: WebSocket) {
  return (message: WorkerMessage): boolean => {
    if (socket.readyState !== WebSocket.OPEN) return false;
    if (socket.bufferedAmount > maxUnsentBytes) {
      socket.terminate();
      return false;
    }
    socket.send(JSON.stringify(message));
    return true;
  };
}

function closer(socket: WebSocket) {
  return (): void => {
    socket.close();
    const timer = setTimeout(() => socket.terminate(), closeGraceMs);
    socket.on("close", () => clearTimeout(timer));
  };
}
