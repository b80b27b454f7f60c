// Signing of requests to the web UI (protocol 2.1) and what a redirect may take along. Pure.
import { createHmac } from "node:crypto";
import type { Credentials } from "../config/settings.ts";

export type Query = Readonly<Record<string, string | readonly string[]>>;

/** Path and query as they are sent and signed: form encoding, spaces as `+`. */
export function pathQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const each of typeof value === "string" ? [value] : value) parameters.append(name, each);
  return parameters.size > 0 ? `${path}?${parameters}` : path;
}

/** Headers of every request and websocket upgrade; without credentials only the time is sent. */
export function requestHeaders(
  signedPathQuery: string,
  credentials: Credentials | undefined,
  nowMs: number,
): Record<string, string> {
  const time = String(Math.floor(nowMs / 1000));
  const headers = { Accept: "application/json", "X-API-Microtime": time };
  if (credentials === undefined) return headers;
  const hash = createHmac("sha1", credentials.secret).update(`${signedPathQuery}${time}`).digest("hex");
  return { ...headers, "X-API-Key": credentials.key, "X-API-Hash": hash };
}

/** Redirects that one request follows (protocol 2.3). */
export const maxRedirects = 3;

/** Where an answer points to: an absolute URL of one of the schemes, if it is a redirect at all. */
export function redirectTarget(
  status: number,
  location: string | null | undefined,
  from: URL,
  schemes: readonly string[] = ["http:", "https:"],
): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || !location || !URL.canParse(location, from.href))
    return undefined;
  const target = new URL(location, from);
  return schemes.includes(target.protocol) ? target : undefined;
}

const loopbackNames = ["localhost", "127.0.0.1", "[::1]"];

/** Whether a URL is on this machine by its host name. */
export function isLoopback(url: URL): boolean {
  return loopbackNames.includes(url.hostname);
}

/** Whether credentials for one URL may go to another: the same host name, or both are this machine. */
export function isSameHost(one: URL, other: URL): boolean {
  return one.hostname === other.hostname || (isLoopback(one) && isLoopback(other));
}
