// What a job sees of the web UI host it belongs to: one REST interface, without sockets or retry tables.
import type { WebUiHostSettings } from "../config/settings.ts";
import type { Context } from "../context.ts";

/** A multipart part. Content that is a path is streamed from disk. */
export type FormPart =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly fileName: string; readonly content: Uint8Array | FilePart };

export interface FilePart {
  /** Regular file, opened without following symlinks. */
  readonly path: string;
}

export interface RestRequest {
  readonly method?: "GET" | "HEAD" | "POST" | "DELETE";
  /** Below /api/v1/, e.g. "jobs/12/status"; with a leading slash: from the root. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly json?: unknown;
  readonly form?: readonly FormPart[];
  /** Tries in all, the first included; default: RETRIES. `Infinity` goes on until the signal is aborted. */
  readonly tries?: number;
  /** Deadline of one try as a whole; default: `own.timeouts.requestMs`. */
  readonly timeoutMs?: number;
  /** Added to the port of the URL if that has an explicit one (live view handler). */
  readonly portDelta?: number;
}

export interface RestAnswer {
  readonly status: number;
  /** Parsed JSON, or the text when it is none. */
  readonly body: unknown;
}

export interface WebUi {
  readonly host: WebUiHostSettings;
  /** Base URL after redirects at start: scheme://host[:port]. */
  readonly url: string;
  /** Id of the last registration. Set whenever a job of this host exists. */
  readonly workerId: number | undefined;
  /** 2 unless the registration said otherwise. */
  readonly servicePortDelta: number;
  /**
   * One REST call with the retry table of protocol 2.3. Resolves with a 2xx answer.
   * Throws `ApiError` when the server refuses for good or all tries are used up, the signal's reason when aborted.
   */
  call(request: RestRequest, context: Context): Promise<RestAnswer>;
}
