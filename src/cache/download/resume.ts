// What to ask a server for when something of a file is already here, and what its answer means for that. Pure.
import { STATUS_CODES } from "node:http";

/** An unfinished file that the next request may go on with. */
export interface ResumablePartial {
  /** Strong, with its quotes. */
  readonly etag: string;
  readonly totalBytes: number;
  /** What is there of it: more than nothing, not more than `totalBytes`. */
  readonly sizeBytes: number;
}

export type Plan =
  | { readonly kind: "whole"; readonly unlessEtag: string | undefined }
  | { readonly kind: "rest"; readonly partial: ResumablePartial; readonly unlessEtag: string | undefined }
  /** All bytes are here: are they still the file? */
  | { readonly kind: "check"; readonly partial: ResumablePartial };

export interface AnswerHead {
  readonly status: number;
  readonly headers: Headers;
}

export type Meaning =
  /** The copy that the caller has is the file. */
  | { readonly kind: "unchanged" }
  /** The partial is the file. */
  | { readonly kind: "complete" }
  /** The file from its first byte on. */
  | { readonly kind: "whole"; readonly etag: string | undefined; readonly totalBytes: number | undefined }
  /** What the partial lacks. */
  | { readonly kind: "rest" }
  /** Nothing can be made of the partial. */
  | { readonly kind: "start over"; readonly why: string }
  /** Asking again does not change it. */
  | { readonly kind: "refused" }
  | { readonly kind: "unusable"; readonly why: string }
  | { readonly kind: "try again"; readonly why: string; readonly retryAfterMs: number | undefined };

/** 4xx that may be another answer next time; 490 is openQA's own "try again" (protocol 2.3). */
const passingRefusals: readonly number[] = [408, 425, 429, 490];

/** By these a server says what has become of a file byte by byte; weak ones (W/) stand for similar contents. */
export function isStrong(etag: string | undefined): etag is string {
  return etag?.startsWith('"') ?? false;
}

/** `copyEtag`: of the complete copy that the caller has. */
export function planRequest(copyEtag: string | undefined, partial: ResumablePartial | undefined): Plan {
  // What the copy is, need not be fetched a second time.
  if (partial === undefined || partial.etag === copyEtag) return { kind: "whole", unlessEtag: copyEtag };
  // One question only: a 304 to two ETags need not say which of them it means.
  if (partial.sizeBytes === partial.totalBytes) return { kind: "check", partial };
  // Servers look at If-None-Match first, then at the range: one request finds out which of both versions is current.
  return { kind: "rest", partial, unlessEtag: copyEtag };
}

export function conditionsOf(plan: Plan): Record<string, string> {
  const unlessEtag = plan.kind === "check" ? plan.partial.etag : plan.unlessEtag;
  return {
    ...(unlessEtag === undefined ? {} : { "If-None-Match": unlessEtag }),
    ...(plan.kind === "rest"
      ? { Range: `bytes=${plan.partial.sizeBytes}-`, "If-Range": plan.partial.etag }
      : {}),
  };
}

/** `mayBeHtml`: the file's name says so. */
export function meaningOf(plan: Plan, { status, headers }: AnswerHead, mayBeHtml: boolean): Meaning {
  if (status === 304) return unchanged(plan);
  if (status === 416 && plan.kind === "rest")
    return { kind: "start over", why: `the server has nothing after byte ${plan.partial.sizeBytes}` };
  if (status === 200) return foreignBody(headers, mayBeHtml) ?? whole(headers);
  if (status === 206 && plan.kind === "rest")
    return foreignBody(headers, mayBeHtml) ?? rest(plan.partial, headers);
  if (status >= 300 && status < 400)
    return { kind: "unusable", why: `answered ${statusText(status)} and does not say where to go` };
  const isFinal = status >= 400 && status < 500 && !passingRefusals.includes(status);
  return isFinal ? { kind: "refused" } : tryAgain(statusText(status), headers);
}

/** "404 Not Found". */
export function statusText(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? "Unknown"}`;
}

function unchanged(plan: Plan): Meaning {
  if (plan.kind === "check") return { kind: "complete" };
  if (plan.unlessEtag !== undefined) return { kind: "unchanged" };
  return tryAgain("304 Not Modified, although that was not asked");
}

/** A body that cannot be the file. */
function foreignBody(headers: Headers, mayBeHtml: boolean): Meaning | undefined {
  if (!mayBeHtml && /^text\/html\b/i.test(headers.get("content-type") ?? "")) {
    const question = "is this the web UI's address, or a log-in page of a proxy?";
    return { kind: "unusable", why: `answered with an HTML page instead of the file: ${question}` };
  }
  const encoding = headers.get("content-encoding")?.trim() || "identity";
  if (encoding.toLowerCase() === "identity") return undefined;
  const advice = "a proxy must not compress assets on the way";
  return {
    kind: "unusable",
    why: `answered with Content-Encoding ${encoding}, which was not asked for: ${advice}`,
  };
}

function whole(headers: Headers): Meaning {
  const totalBytes = contentLength(headers);
  if (totalBytes === undefined && !/\bchunked\b/i.test(headers.get("transfer-encoding") ?? ""))
    return {
      kind: "unusable",
      why: "answered with neither Content-Length nor chunks: nobody can tell whether the file is complete",
    };
  return { kind: "whole", etag: headers.get("etag") || undefined, totalBytes };
}

/** Servers that ignore If-Range send a part of whatever the file is now. */
function rest(partial: ResumablePartial, headers: Headers): Meaning {
  const startOver = (what: string, found: unknown, expected: unknown): Meaning => ({
    kind: "start over",
    why: `${what} of the rest is ${found ?? "not stated"}, expected ${expected}`,
  });
  const { etag, sizeBytes, totalBytes } = partial;
  const found = headers.get("etag");
  if (found !== etag) return startOver("ETag", found, etag);
  const range = headers.get("content-range");
  const expected = `bytes ${sizeBytes}-${totalBytes - 1}/${totalBytes}`;
  if (range?.trim() !== expected) return startOver("Content-Range", range, expected);
  const length = contentLength(headers);
  const missing = totalBytes - sizeBytes;
  return length === undefined || length === missing
    ? { kind: "rest" }
    : startOver("Content-Length", length, missing);
}

function contentLength(headers: Headers): number | undefined {
  const text = headers.get("content-length");
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined;
}

function tryAgain(why: string, headers?: Headers): Meaning {
  const seconds = headers?.get("retry-after")?.trim() ?? "";
  const retryAfterMs = /^\d{1,9}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
  return { kind: "try again", why, retryAfterMs };
}
