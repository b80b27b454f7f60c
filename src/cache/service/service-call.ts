// One call to a cache service: tries while there is no connection, and the texts by which the stock worker names what
// went wrong (protocol 6).
import type { ZodType } from "zod";
import type { Context } from "../../context.ts";
import { CacheError } from "../../errors.ts";
import { sleep } from "../../sleep.ts";
import { exchange, type Fetch, type RawAnswer } from "../../webui/http-exchange.ts";
import { connectionErrorText } from "../../webui/retry.ts";
import { type EnqueueBody, refusedSchema } from "./service-protocol.ts";

export interface ServiceCall<T> {
  /** Base URL of the service. */
  readonly service: string;
  readonly action: "info" | "status" | "enqueue";
  /** Relative to the base URL. */
  readonly path: string;
  readonly body?: EnqueueBody;
  readonly schema: ZodType<T>;
}

export interface ServiceTries {
  /** While there is no connection, the first included. */
  readonly tries: number;
  readonly retryDelayMs: number;
  /** Until a try has its answer, and again until that is complete. */
  readonly timeoutMs: number;
}

/** Never by a proxy, whatever the environment says: so does the stock worker. Bun's types do not know `false` here. */
const direct: object = { proxy: false };
export const directFetch: Fetch = (url, init) => fetch(url, { ...init, ...direct });

/** The answer of a call. Throws `CacheError`, "Cache service ACTION error: TEXT". */
export async function callService<T>(
  call: ServiceCall<T>,
  { tries, retryDelayMs, timeoutMs }: ServiceTries,
  context: Context,
): Promise<T> {
  for (let left = tries - 1; ; left--) {
    const answer = await ask(call, timeoutMs, context.signal);
    if ("status" in answer) return judge(call, answer);
    const text = `Cache service ${call.action} error: ${connectionErrorText(answer.cause)}`;
    if (left <= 0) throw new CacheError(text, { cause: answer.cause });
    context.log.warn(`${text} at ${call.service} (remaining tries: ${left})`);
    await sleep(retryDelayMs, context.signal);
  }
}

/** One try: the answer, whatever it is, or why there is none. */
export async function ask(
  { service, path, body }: Pick<ServiceCall<unknown>, "service" | "path" | "body">,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<RawAnswer | { readonly cause: unknown }> {
  const url = serviceUrl(service, path);
  try {
    const request = {
      method: body ? "POST" : "GET",
      url,
      headers: () => ({ Accept: "application/json" }),
      body: body && { json: JSON.stringify(body) },
      newConnection: true,
      timeouts: { answerMs: timeoutMs, idleMs: timeoutMs, requestMs: 2 * timeoutMs },
    };
    return await exchange(request, directFetch, signal);
  } catch (cause) {
    signal.throwIfAborted();
    return { cause };
  }
}

function serviceUrl(service: string, path: string): URL {
  const base = URL.canParse(service) ? new URL(service) : undefined;
  if (base?.protocol === "http:" || base?.protocol === "https:") return new URL(path, base);
  throw new CacheError(`CACHESERVICEURL is "${service}", expected http://HOST:PORT of a cache service`);
}

function judge<T>({ action, schema }: ServiceCall<T>, { status, phrase, text }: RawAnswer): T {
  const error = `Cache service ${action} error`;
  const body = parseObject(text);
  if (status >= 400) {
    const stated = refusedSchema.safeParse(body);
    throw new CacheError(
      stated.success ? `${error} from API: ${stated.data.error}` : `${error} ${status}: ${phrase}`,
    );
  }
  if (body === undefined) throw new CacheError(`${error}: ${status} non-JSON response`);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  if (action === "enqueue") throw new CacheError(`${error}: Minion job id missing from response`);
  throw new CacheError(`${error}: unexpected response ${text.slice(0, maxShownLength)}`);
}

const maxShownLength = 200;

/** Undefined for whatever is no JSON object. */
export function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
