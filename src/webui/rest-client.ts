// The REST interface of one web UI host: tries by the retry table of protocol 2.3, each logged, each with deadlines.
import type { Settings, WebUiHostSettings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { ApiError, errorText, UnreadablePartError } from "../errors.ts";
import { sleep } from "../sleep.ts";
import { isSameHost, pathQuery, redirectTarget, requestHeaders } from "./authentication.ts";
import { DeadlineError } from "./deadlines.ts";
import { exchange, type Fetch, type RawAnswer } from "./http-exchange.ts";
import { formBody } from "./multipart.ts";
import { RememberedErrors } from "./remembered-errors.ts";
import { connectionError, refusal, type Verdict, verdictOf } from "./retry.ts";
import type { RestAnswer, RestRequest, WebUi } from "./web-ui.ts";

export interface RestClientOptions {
  readonly host: WebUiHostSettings;
  readonly settings: Pick<Settings, "restTries" | "own">;
  readonly fetch?: Fetch;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** Delays are up to this share longer, so that the workers of a web UI that comes back do not call all at once. */
const retryJitter = 0.2;

type TryOutcome =
  | { readonly answer: RestAnswer }
  | { readonly verdict: Exclude<Verdict, "answered">; readonly error: ApiError };

export class RestClient implements WebUi {
  readonly host: WebUiHostSettings;
  readonly settings: RestClientOptions["settings"];
  readonly errors = new RememberedErrors();
  readonly random: () => number;
  url: string;
  workerId: number | undefined;
  servicePortDelta = 2;
  private readonly fetch: Fetch;
  private readonly now: () => number;

  constructor(options: RestClientOptions) {
    this.host = options.host;
    this.settings = options.settings;
    this.url = new URL(options.host.url).origin;
    this.fetch = options.fetch ?? fetch;
    this.now = options.now ?? Date.now;
    this.random = options.random ?? Math.random;
  }

  /** Headers for a URL: signed, unless it is on another host (protocol 2.1). */
  headersFor(url: URL): Record<string, string> {
    const credentials = isSameHost(new URL(this.url), url) ? this.host.credentials : undefined;
    return requestHeaders(`${url.pathname}${url.search}`, credentials, this.now());
  }

  /** Once at start: scheme, host and port of a redirect count from then on (protocol 2.2). Never fails. */
  async adoptRedirect(context: Context): Promise<void> {
    const url = new URL("/api/v1/workers?limit=0", this.url);
    const { answerMs } = this.settings.own.timeouts;
    try {
      const signal = AbortSignal.any([context.signal, AbortSignal.timeout(answerMs)]);
      const headers = this.headersFor(url);
      const answer = await this.fetch(url.href, { method: "HEAD", redirect: "manual", headers, signal });
      const target = redirectTarget(answer.status, answer.headers.get("location"), url);
      if (target === undefined || target.origin === this.url) return;
      context.log.warn(
        `Web UI host ${this.host.name} redirects from ${this.url} to ${target.origin}: using that`,
      );
      this.url = target.origin;
    } catch (error) {
      context.signal.throwIfAborted();
      context.log.debug(`No answer from ${this.url} yet: ${errorText(error)}`);
    }
  }

  async call(request: RestRequest, context: Context): Promise<RestAnswer> {
    const tries = request.tries ?? this.settings.restTries;
    const kind = request.path.replace(/\d+/g, "N");
    let leftWhileAway = request.triesWhileAway ?? Number.POSITIVE_INFINITY;
    for (let left = tries - 1; ; left--) {
      const outcome = await this.try({ newConnection: tries === 1, ...request }, context.signal);
      if ("answer" in outcome) {
        this.errors.clear(kind);
        return outcome.answer;
      }
      leftWhileAway = outcome.error.isAway ? leftWhileAway - 1 : leftWhileAway;
      const remaining = outcome.verdict === "final" ? 0 : Math.max(Math.min(left, leftWhileAway), 0);
      this.logFailure(request, outcome.error, remaining, context);
      if (remaining === 0) {
        if (request.remembered ?? true) this.errors.note(kind, outcome.error.message);
        throw outcome.error;
      }
      await sleep(this.delayMs(outcome.verdict), context.signal);
    }
  }

  private async try(
    request: RestRequest & { readonly newConnection: boolean },
    signal: AbortSignal,
  ): Promise<TryOutcome> {
    signal.throwIfAborted();
    const { timeouts } = this.settings.own;
    try {
      const raw = await exchange(
        {
          method: request.method ?? "GET",
          url: this.urlOf(request),
          headers: (url) => this.headersFor(url),
          body: bodyOf(request),
          newConnection: request.newConnection,
          timeouts: { ...timeouts, requestMs: request.timeoutMs ?? timeouts.requestMs },
        },
        this.fetch,
        signal,
      );
      return judge(raw, request.expects ?? "anything");
    } catch (cause) {
      signal.throwIfAborted();
      const error = connectionError(cause);
      if (cause instanceof UnreadablePartError) return { verdict: "final", error };
      return { verdict: cause instanceof DeadlineError ? "busy" : "retry", error };
    }
  }

  private urlOf({ path, query, portDelta }: RestRequest): URL {
    const url = new URL(pathQuery(path.startsWith("/") ? path : `/api/v1/${path}`, query), this.url);
    if (url.port !== "" && portDelta !== undefined) url.port = String(Number(url.port) + portDelta);
    return url;
  }

  private logFailure(request: RestRequest, error: ApiError, remaining: number, context: Context): void {
    const call = `${request.method ?? "GET"} ${this.urlOf(request)}`;
    const text = `REST-API error (${call}): ${error.message} (remaining tries: ${remaining})`;
    if (remaining > 0) context.log.warn(text);
    else context.log.error(text);
  }

  private delayMs(verdict: Verdict): number {
    const { retryDelayMs, busyRetryDelayMs } = this.host;
    return (verdict === "busy" ? busyRetryDelayMs : retryDelayMs) * (1 + retryJitter * this.random());
  }
}

function bodyOf({ json, form }: RestRequest) {
  if (form !== undefined) return formBody(form);
  return json === undefined ? undefined : { json: JSON.stringify(json) };
}

function judge({ status, phrase, text, headers }: RawAnswer, expects: "json" | "anything"): TryOutcome {
  const body = parseBody(text);
  const verdict = verdictOf(status);
  if (verdict !== "answered") {
    const error = refusal(status, phrase, body);
    return { verdict: error.isClockSkew ? "retry" : verdict, error };
  }
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  // Whoever answers so (a proxy, a maintenance page) is not the web UI: the call did not arrive.
  if (expects === "json" && !isObject)
    return { verdict: "retry", error: new ApiError(`${status} response: no JSON object`, status) };
  return { answer: { status, headers, body } };
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
