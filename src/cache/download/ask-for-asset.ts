// One GET of an asset up to the head of its answer: redirects by hand, signed anew for each hop. What the answer means
// is not known here.
import type { Credentials } from "../../config/settings.ts";
import { CacheError } from "../../errors.ts";
import { redirectTarget, requestHeaders } from "../../webui/authentication.ts";
import { DeadlineError } from "../../webui/deadlines.ts";

/** As many as the stock cache service follows (protocol 6). */
export const maxAssetRedirects = 5;

export interface AssetQuestion {
  readonly url: URL;
  readonly credentials: Credentials | undefined;
  /** If-None-Match and the like, for every hop. */
  readonly conditions: Readonly<Record<string, string>>;
  /** For the head of each hop's answer. */
  readonly answerMs: number;
  /** Ends the question and the body of its answer. */
  readonly connection: AbortController;
}

/** Resolves with any answer that is no redirect. Throws `CacheError` for redirects that lead nowhere, and what `fetch` throws. */
export async function askForAsset(question: AssetQuestion, signal: AbortSignal): Promise<Response> {
  let { url } = question;
  for (let redirects = 0; redirects <= maxAssetRedirects; redirects++) {
    const response = await getHead(url, question, signal);
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    const target = redirectTarget(response.status, location, url);
    if (target === undefined)
      throw new CacheError(`${url} redirects to "${location}", expected an address with http:// or https://`);
    url = target;
  }
  throw new CacheError(
    `${question.url} redirects more than ${maxAssetRedirects} times, the last time to ${url}`,
  );
}

/** Headers for one hop; the signature only for the host that the credentials belong to (protocol 2.1). Pure. */
export function assetHeaders(
  url: URL,
  { url: first, credentials, conditions }: Pick<AssetQuestion, "url" | "credentials" | "conditions">,
  nowMs: number,
): Record<string, string> {
  const signing = mayHaveKeys(first, url) ? credentials : undefined;
  return {
    ...requestHeaders(`${url.pathname}${url.search}`, signing, nowMs),
    Accept: "*/*",
    "Accept-Encoding": "identity",
    ...conditions,
  };
}

/** The same origin, or the same host by a safer way. */
function mayHaveKeys(first: URL, url: URL): boolean {
  const isUpgraded =
    first.protocol === "http:" && url.protocol === "https:" && first.hostname === url.hostname;
  return first.origin === url.origin || isUpgraded;
}

async function getHead(url: URL, question: AssetQuestion, signal: AbortSignal): Promise<Response> {
  const { answerMs, connection } = question;
  const late = () => connection.abort(new DeadlineError(`no answer within ${answerMs / 1000} s`));
  const timer = setTimeout(late, answerMs);
  try {
    return await fetch(url, {
      headers: assetHeaders(url, question, Date.now()),
      redirect: "manual",
      decompress: false,
      // Pooled connections may be half open, and an asset pays for its own.
      keepalive: false,
      timeout: false,
      signal,
    });
  } finally {
    clearTimeout(timer);
  }
}
