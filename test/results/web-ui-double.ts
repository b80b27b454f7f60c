// A web UI for tests of reporting and uploads: a real server whose answers a test scripts, and the simplest client
// that keeps the contract of `WebUi` towards it (no authentication, no waits between tries).
import { read } from "node:fs";
import { promisify } from "node:util";
import type { Settings } from "../../src/config/settings.ts";
import type { Context } from "../../src/context.ts";
import { ApiError, errorText } from "../../src/errors.ts";
import { Logger } from "../../src/ops/log.ts";
import type { PostStatus } from "../../src/results/reporter.ts";
import type { FilePart, FormPart, RestAnswer, RestRequest, WebUi } from "../../src/webui/web-ui.ts";
import { type FormEntry, readMultipart } from "../support/multipart.ts";

export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly json: Record<string, unknown> | undefined;
  readonly form: readonly FormEntry[];
  readonly atMs: number;
}

type Answers = (request: Arrived) => Response | Promise<Response> | undefined;

/** Tries of the client where a call does not say: enough to tell one from several. */
const defaultTries = 2;

/** Answers `OK` to whatever the test does not answer. */
export class WebUiDouble implements AsyncDisposable {
  readonly requests: Arrived[] = [];
  answer: Answers;
  private readonly server: Bun.Server<undefined>;
  private readonly waits = new Set<() => void>();

  constructor(answer: Answers = () => undefined) {
    this.answer = answer;
    this.server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => this.serve(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  /** Status objects that were posted. */
  get posts(): Record<string, unknown>[] {
    return this.requests.flatMap(({ path, json }) =>
      path.endsWith("/status") ? [json?.["status"] as Record<string, unknown>] : [],
    );
  }

  /** Uploads as "NAME FIELD=VALUE ...", sorted fields, in order of arrival. */
  get uploads(): string[] {
    return this.requests.filter(({ path }) => path.endsWith("/artefact")).map(described);
  }

  /** Resolves as soon as the predicate holds; looked at whenever something arrives. */
  until(isSo: (ui: WebUiDouble) => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => isSo(this) && resolve();
    this.waits.add(look);
    look();
    return promise.finally(() => this.waits.delete(look));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop(true);
  }

  client(url = this.url): WebUi {
    return {
      host: {
        name: "double",
        url,
        shareDirectory: "/nowhere",
        testPoolServer: undefined,
        credentials: undefined,
        retryDelayMs: 0,
        busyRetryDelayMs: 0,
      },
      url,
      workerId: 7,
      servicePortDelta: 2,
      call: (request, context) => call(this.url, request, context),
    };
  }

  private async serve(request: Request): Promise<Response> {
    const body = Buffer.from(await request.arrayBuffer());
    const type = request.headers.get("content-type") ?? "";
    const arrived: Arrived = {
      method: request.method,
      path: new URL(request.url).pathname,
      json: type.startsWith("application/json") ? JSON.parse(body.toString()) : undefined,
      form: type.startsWith("multipart/") ? readMultipart(type, body) : [],
      atMs: performance.now(),
    };
    this.requests.push(arrived);
    for (const look of this.waits) look();
    const answer = await this.answer(arrived);
    for (const look of this.waits) look();
    return answer ?? (arrived.path.endsWith("/status") ? Response.json({ result: 1 }) : new Response("OK"));
  }
}

export function field({ form }: Arrived, name: string): string | undefined {
  return form.find((part) => part.name === name)?.bytes.toString();
}

export function fileOf({ form }: Arrived): { readonly name: string; readonly bytes: Buffer } {
  const file = form.find(({ name }) => name === "file");
  return { name: file?.fileName ?? "", bytes: file?.bytes ?? Buffer.alloc(0) };
}

export function refusal(status: number, error: string): Response {
  return Response.json({ error, error_status: status }, { status });
}

function described(request: Arrived): string {
  const fields = request.form
    .filter(({ name }) => name !== "file")
    .map(({ name, bytes }) => `${name}=${bytes}`);
  return [fileOf(request).name, ...fields.sort()].join(" ");
}

async function call(url: string, request: RestRequest, { signal }: Context): Promise<RestAnswer> {
  for (let left = request.tries ?? defaultTries; ; left--) {
    signal.throwIfAborted();
    try {
      return await tryOnce(url, request, signal);
    } catch (error) {
      signal.throwIfAborted();
      const failure =
        error instanceof ApiError ? error : new ApiError(`Connection error: ${errorText(error)}`, undefined);
      if (failure.isFinal || left <= 1) throw failure;
    }
  }
}

async function tryOnce(url: string, request: RestRequest, signal: AbortSignal): Promise<RestAnswer> {
  const { method = "GET", path, json, form, timeoutMs = 20_000 } = request;
  const answer = await fetch(`${url}${path.startsWith("/") ? "" : "/api/v1/"}${path}`, {
    method,
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    ...(json !== undefined && {
      body: JSON.stringify(json),
      headers: { "Content-Type": "application/json" },
    }),
    ...(form && { body: await formData(form) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new ApiError(`${answer.status} response: ${errorOf(text)}`, answer.status);
  return { status: answer.status, headers: answer.headers, body: parsed(text) };
}

async function formData(parts: readonly FormPart[]): Promise<FormData> {
  const form = new FormData();
  for (const part of parts) {
    if ("value" in part) form.append(part.name, part.value);
    else form.append(part.name, new Blob([await bytesOf(part.content)]), part.fileName);
  }
  return form;
}

async function bytesOf(content: Uint8Array | FilePart): Promise<Buffer> {
  if (content instanceof Uint8Array) return Buffer.from(content);
  const bytes = Buffer.alloc(content.sizeBytes);
  await promisify(read)(content.fd, bytes, 0, bytes.length, 0);
  return bytes;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function errorOf(text: string): string {
  const body = parsed(text);
  return typeof body === "object" && body !== null && "error" in body ? String(body.error) : "refused";
}

/** Of the server's answer only what reporting looks at. */
export const postStatus: PostStatus = async (webUi, jobId, status, context, options) => {
  const path = `jobs/${jobId}/status`;
  const { body } = await webUi.call({ method: "POST", path, json: { status }, ...options }, context);
  const { known_images = [], known_files = [] } = body as Record<string, string[]>;
  return { knownImages: known_images, knownFiles: known_files };
};

/** A context with the lines that were logged, as "LEVEL TEXT". */
export function recordingContext(
  signal = new AbortController().signal,
): Context & { readonly lines: string[] } {
  const lines: string[] = [];
  return { signal, lines, log: new Logger([({ level, text }) => lines.push(`${level} ${text}`)]) };
}

export function settingsWith(
  upload: Partial<Settings["upload"]> = {},
  report: Partial<Settings["own"]["report"]> = {},
): Pick<Settings, "upload" | "own"> {
  return {
    upload: { local: false, chunkBytes: 1000, chunkTries: 3, firstChunkRetryDelayMs: 1, ...upload },
    own: {
      timeouts: { answerMs: 5000, idleMs: 5000, requestMs: 20_000, websocketMs: 1000 },
      stop: { graceMs: 1000, totalMs: 1000 },
      report: { intervalMs: 10, parallelUploads: 2, ...report },
      limits: { maxFrameBytes: 1e6, maxJobMessageBytes: 1e6, maxResultFileBytes: 1e6 },
    },
  };
}
