// One try of one request: redirects, deadlines, bounded answer. Knows neither retries nor what answers mean.
import type { OwnSettings } from "../config/settings.ts";
import { maxRedirects, redirectTarget } from "./authentication.ts";
import { Deadlines } from "./deadlines.ts";
import { type FormBody, maxBufferedBodyBytes } from "./multipart.ts";

export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>;

export interface Exchange {
  readonly method: string;
  readonly url: URL;
  /** Headers for a URL: asked anew after each redirect. */
  readonly headers: (url: URL) => Record<string, string>;
  readonly body: FormBody | { readonly json: string } | undefined;
  /** Instead of a pooled one, which may be half open; it is not pooled afterwards. */
  readonly newConnection: boolean;
  readonly timeouts: Pick<OwnSettings["timeouts"], "answerMs" | "idleMs" | "requestMs">;
}

export interface RawAnswer {
  readonly status: number;
  readonly phrase: string;
  readonly headers: Headers;
  readonly text: string;
}

/** Answers with a bigger body count as none. */
export const maxAnswerBytes = 16 * 1024 * 1024;

/** Resolves with any answer; throws what `fetch` throws, `DeadlineError`, or the signal's reason. */
export async function exchange(request: Exchange, fetch: Fetch, signal: AbortSignal): Promise<RawAnswer> {
  const deadlines = new Deadlines(request.timeouts.requestMs, signal);
  try {
    let { url, method } = request;
    for (let redirects = 0; ; redirects++) {
      const answer = await send({ ...request, url, method }, fetch, deadlines);
      const target = redirectTarget(answer.status, answer.headers.get("location"), url);
      if (target === undefined || redirects === maxRedirects) return answer;
      // Other than browsers do, a POST stays one: what was to be delivered must not get lost as a GET.
      if (answer.status === 303) method = "GET";
      url = target;
    }
  } catch (error) {
    deadlines.signal.throwIfAborted();
    throw error;
  } finally {
    deadlines.stop();
  }
}

async function send(request: Exchange, fetch: Fetch, deadlines: Deadlines): Promise<RawAnswer> {
  const { method, url, timeouts } = request;
  const { body, headers } = await prepareBody(
    method === "GET" ? undefined : request.body,
    timeouts,
    deadlines,
  );
  const response = await fetch(url.href, {
    method,
    headers: { ...request.headers(url), ...headers },
    ...(body === undefined ? {} : { body }),
    redirect: "manual",
    keepalive: !request.newConnection,
    timeout: false,
    signal: deadlines.signal,
  });
  const { status, statusText: phrase } = response;
  const head = { status, phrase, headers: response.headers };
  try {
    return { ...head, text: await readText(response, timeouts.idleMs, deadlines) };
  } catch (error) {
    // A refusal is one, even if its text cannot be read to the end.
    if (status < 400) throw error;
    return { ...head, text: "" };
  }
}

async function prepareBody(
  body: Exchange["body"],
  { answerMs, idleMs }: Exchange["timeouts"],
  deadlines: Deadlines,
): Promise<{ body?: BunFetchRequestInit["body"]; headers: Record<string, string> }> {
  if (body === undefined || "json" in body) {
    deadlines.expectWithin(answerMs);
    return body ? { body: body.json, headers: { "Content-Type": "application/json" } } : { headers: {} };
  }
  const headers = { "Content-Type": body.contentType, "Content-Length": String(body.sizeBytes) };
  if (body.sizeBytes > maxBufferedBodyBytes)
    return { body: watched(body, idleMs, answerMs, deadlines), headers };
  const buffer = new Uint8Array(body.sizeBytes);
  let at = 0;
  for await (const piece of body.pieces()) {
    buffer.set(piece, at);
    at += piece.byteLength;
  }
  deadlines.expectWithin(answerMs);
  return { body: buffer, headers };
}

/**
 * The pieces of a big body; each has to be taken within the idle time, then the answer has its own. `fetch` has copied a
 * piece when it asks for the next.
 */
async function* watched(body: FormBody, idleMs: number, answerMs: number, deadlines: Deadlines) {
  for await (const piece of body.pieces()) {
    deadlines.expectWithin(idleMs);
    yield piece;
  }
  deadlines.expectWithin(answerMs);
}

async function readText(response: Response, idleMs: number, deadlines: Deadlines): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let sizeBytes = 0;
  deadlines.expectWithin(idleMs);
  for await (const piece of response.body ?? []) {
    deadlines.expectWithin(idleMs);
    sizeBytes += piece.byteLength;
    if (sizeBytes > maxAnswerBytes) throw new Error(`Answer has more than ${maxAnswerBytes} bytes`);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}
