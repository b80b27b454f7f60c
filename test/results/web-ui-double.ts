// A web UI for tests of reporting and uploads: a real server whose answers a test scripts, and the real client.

import type { Settings } from "../../src/config/settings.ts";
import type { Context } from "../../src/context.ts";
import { Logger } from "../../src/ops/log.ts";
import { RestClient } from "../../src/webui/rest-client.ts";
import type { WebUi } from "../../src/webui/web-ui.ts";
import { type FormEntry, readMultipart } from "../support/multipart.ts";
import { smallOwnSettings } from "../support/small-settings.ts";

export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly json: Record<string, unknown> | undefined;
  readonly form: readonly FormEntry[];
  readonly atMs: number;
  /** Tells connections apart. */
  readonly clientPort: number | undefined;
}

type Answers = (request: Arrived) => Response | Promise<Response | undefined> | undefined;

/** Enough to tell one try from several. */
const restTries = 2;

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

  /** The real client, which repeats at once; it may be told that the server has another URL. */
  client(url = this.url): WebUi {
    const host = {
      name: "double",
      url: this.url,
      shareDirectory: "/nowhere",
      testPoolServer: undefined,
      credentials: undefined,
      retryDelayMs: 0,
      busyRetryDelayMs: 0,
    };
    const client = new RestClient({ host, settings: { ...settingsWith(), restTries } });
    const { errors, servicePortDelta } = client;
    return { host, url, errors, servicePortDelta, workerId: 7, call: (...args) => client.call(...args) };
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
      clientPort: this.server.requestIP(request)?.port,
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
      ...smallOwnSettings,
      timeouts: { ...smallOwnSettings.timeouts, requestMs: 20_000 },
      report: { intervalMs: 10, watchedIntervalMs: 10, parallelUploads: 2, ...report },
    },
  };
}
