// What a job sees of the web UI host it belongs to: one REST interface, without sockets or retry tables.
import type { WebUiHostSettings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import type { RememberedErrors } from "./remembered-errors.ts";

/** A multipart part. All but bytes is streamed, so that memory stays bounded whatever its size. */
export type FormPart =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly fileName: string; readonly content: Uint8Array | FilePart | MadePart };

/** An open regular file: its first `sizeBytes` bytes are sent, from offset 0 at each try. The caller closes it. */
export interface FilePart {
  readonly fd: number;
  readonly sizeBytes: number;
}

/** Content that is made while it is sent, from the start at each try: pieces of `sizeBytes` in all. */
export interface MadePart {
  readonly sizeBytes: number;
  /**
   * Each piece has to be valid until the next is asked for. Throws `UnreadablePartError` when sending it again would not
   * help.
   */
  pieces(): AsyncIterable<Uint8Array<ArrayBuffer>>;
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
  /** Of these, tries that nobody answers, or not for now; default: as many as there are. */
  readonly triesWhileAway?: number;
  /**
   * A pooled connection may be half open: whether to take a new one instead. Default: if there is only one try. One
   * that is new is not pooled afterwards.
   */
  readonly newConnection?: boolean;
  /** Deadline of one try as a whole; default: `own.timeouts.requestMs`. */
  readonly timeoutMs?: number;
  /** Added to the port of the URL if that has an explicit one (live view handler). */
  readonly portDelta?: number;
  /** `json`: a 2xx answer without a JSON object counts as a failed try. */
  readonly expects?: "json" | "anything";
  /** False: a failure is not kept as the web UI's error for the reason of a job (calls that are not critical). */
  readonly remembered?: boolean;
}

export interface RestAnswer {
  readonly status: number;
  /** Headers of the answer, where something asks for them (`Date`, `Last-Modified`). */
  readonly headers?: Headers;
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
  /** What failed last and was not mended since, for the reason of a job. */
  readonly errors: RememberedErrors;
  /**
   * One REST call with the retry table of protocol 2.3. Resolves with a 2xx answer.
   * Throws `ApiError` when the server refuses for good or all tries are used up, the signal's reason when aborted.
   * Every failed try, also the last one, is logged here.
   */
  call(request: RestRequest, context: Context): Promise<RestAnswer>;
}
