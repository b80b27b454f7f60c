// All that arrived at a fake server, in order, and waiting for it by event.
import type { Answer } from "./fake-web-ui-jobs.ts";
import type { FormEntry } from "./multipart.ts";

/** A request, journalled as soon as its body is here. */
export interface RecordedRequest {
  readonly kind: "request";
  /** Position in the journal, from 0. */
  readonly index: number;
  /** `performance.now()` */
  readonly atMs: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: Buffer;
  /** Parsed body, undefined when it is not JSON. */
  readonly json: unknown;
  readonly form: readonly FormEntry[] | undefined;
  /** What it was answered; undefined before, and when a fault took its place. */
  answer: Answer | undefined;
}

/** A websocket message of a worker. */
export interface RecordedMessage {
  readonly kind: "message";
  readonly index: number;
  readonly atMs: number;
  readonly workerId: number;
  readonly text: string;
  /** The object, or an empty one when the text is none. */
  readonly value: Readonly<Record<string, unknown>>;
}

export type Entry = RecordedRequest | RecordedMessage;

/** A RegExp sees "METHOD PATH?QUERY". */
export type RequestMatcher = RegExp | ((request: RecordedRequest) => boolean);
/** An object names values that the message must have. */
export type MessageMatcher = Readonly<Record<string, unknown>> | ((message: RecordedMessage) => boolean);

export interface WaitOptions {
  /** Only entries of the journal from this index on count; default: all. */
  readonly from?: number;
  readonly timeoutMs?: number;
}

export class Journal {
  readonly entries: Entry[] = [];
  private readonly waits = new Set<() => void>();

  note(entry: Entry): void {
    this.entries.push(entry);
    this.wake();
  }

  /** To be called when something changed that a wait may look at. */
  wake(): void {
    for (const look of this.waits) look();
  }

  /** Resolves with the first entry that is found, past ones included. */
  eventually<T extends Entry>(
    isWanted: (entry: Entry) => entry is T,
    what: string,
    { from = 0, timeoutMs = 20_000 }: WaitOptions = {},
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = () => {
      const found = this.entries.slice(from).find(isWanted);
      if (found) resolve(found);
    };
    const fail = () =>
      reject(new Error(`No ${what} within ${timeoutMs} ms. Last of the journal:\n${this.tail()}`));
    const timer = setTimeout(fail, timeoutMs);
    this.waits.add(look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.waits.delete(look);
    });
  }

  private tail(): string {
    const lines = this.entries.map((entry) =>
      entry.kind === "message"
        ? `worker ${entry.workerId}: ${entry.text.slice(0, 120)}`
        : `${requestLine(entry).slice(0, 120)} -> ${entry.answer?.status ?? "no answer"}`,
    );
    return lines.slice(-15).join("\n");
  }
}

export function requestLine({ method, path, query }: RecordedRequest): string {
  return `${method} ${path}${query.size > 0 ? `?${query}` : ""}`;
}

export function isRequest(matcher: RequestMatcher): (entry: Entry) => entry is RecordedRequest {
  const matches =
    typeof matcher === "function"
      ? matcher
      : (request: RecordedRequest) => matcher.test(requestLine(request));
  return (entry): entry is RecordedRequest => entry.kind === "request" && matches(entry);
}

export function isMessage(matcher: MessageMatcher): (entry: Entry) => entry is RecordedMessage {
  const matches =
    typeof matcher === "function"
      ? matcher
      : ({ value }: RecordedMessage) =>
          Object.entries(matcher).every(([key, wanted]) => Bun.deepEquals(value[key], wanted));
  return (entry): entry is RecordedMessage => entry.kind === "message" && matches(entry);
}
