// The stock cache service's HTTP interface, served with this project's cache, for stock workers on the same host
// (protocol 6). Requests and answers only: what is done about them comes in.
import type { Context } from "../../context.ts";
import type { CacheWork, WorkOutcome } from "./do-work.ts";
import { parseEnqueued, type WantedWork } from "./enqueue-request.ts";
import { type ListenAddress, listenOnAll, stopAll } from "./listen.ts";
import { metricsText } from "./metrics-text.ts";
import { ServedRequests } from "./served-requests.ts";
import type { ServedAsset } from "./service-protocol.ts";

export type { CacheWork } from "./do-work.ts";

export interface CacheServerOptions {
  readonly listen: readonly ListenAddress[];
  /** CACHEWORKERS: assets that are fetched at the same time. */
  readonly workers: number;
  /** Why a sync is refused; undefined: it is not. Any user of the host may ask for one. */
  readonly allowSync: (from: string, to: string) => string | undefined;
  readonly allowAsset: (asset: ServedAsset) => string | undefined;
  readonly work: CacheWork;
}

export interface CacheServer {
  readonly urls: readonly string[];
  /** Takes nothing new, aborts what runs, resolves when all has ended. */
  close(): Promise<void>;
}

/** So many reasons for refusals are remembered as logged. */
const maxLoggedReasons = 1000;

/** Throws `UsageError` when an address cannot be had. */
export async function serveCache(options: CacheServerOptions, context: Context): Promise<CacheServer> {
  const closing = new AbortController();
  const inner = { ...context, signal: AbortSignal.any([context.signal, closing.signal]) };
  const requests = new ServedRequests(options.workers, options.work, inner);
  const routes = new CacheRoutes(options, requests, inner);
  const listeners = await listenOnAll(options.listen, (request) => routes.answer(request), context);
  return {
    urls: listeners.map(({ url }) => url.origin),
    async close() {
      // Clients find nobody there and try again until they find the next one.
      await stopAll(listeners);
      closing.abort(new Error("The cache service is being stopped"));
      await requests.ended();
    },
  };
}

class CacheRoutes {
  private readonly loggedReasons = new Set<string>();

  constructor(
    private readonly options: CacheServerOptions,
    private readonly requests: ServedRequests,
    private readonly context: Context,
  ) {}

  async answer(request: Request): Promise<Response> {
    const { pathname, origin } = new URL(request.url);
    if (request.method === "POST" && pathname === "/enqueue") return this.enqueue(await request.text());
    if (request.method !== "GET" && request.method !== "HEAD") return notFound();
    if (pathname === "/info") return Response.json(this.requests.info());
    if (pathname === "/influxdb/minion") return await this.metrics(origin);
    const [, id] = /^\/status\/(\d+)$/.exec(pathname) ?? [];
    return id === undefined ? notFound() : this.status(Number(id));
  }

  private enqueue(body: string): Response {
    const wanted = parseEnqueued(body);
    if ("refusal" in wanted) return refused(400, wanted.refusal);
    const reason = this.whyNot(wanted);
    if (reason !== undefined) {
      this.logOnce(`Refused a request: ${reason}`);
      return refused(400, reason);
    }
    const id = this.requests.add(wanted);
    if (id === undefined) return refused(503, "Too many requests are waiting");
    return Response.json({ status: "downloading", id });
  }

  private whyNot(wanted: WantedWork): string | undefined {
    const { allowAsset, allowSync } = this.options;
    if (wanted.task === "cache_asset") return allowAsset(wanted.asset);
    return allowSync(wanted.sync.from, wanted.sync.to);
  }

  private status(id: number): Response {
    const status = this.requests.status(id);
    if (status === undefined) return refused(404, "Specified job ID is invalid");
    const { outcome, doneBy } = status;
    if (outcome === undefined) return Response.json({ status: "downloading" });
    if (outcome.kind === "failed") return refused(500, `Minion job #${doneBy} failed: ${outcome.text}`);
    return Response.json({
      status: "processed",
      output: outcome.output,
      ...resultOf(outcome, doneBy === id),
    });
  }

  private async metrics(origin: string): Promise<Response> {
    const { downloadRateBytesPerS } = await this.options.work.metrics();
    const text = metricsText(origin, this.requests.info(), this.requests.downloads, downloadRateBytesPerS);
    return new Response(text);
  }

  private logOnce(text: string): void {
    if (this.loggedReasons.has(text)) return;
    if (this.loggedReasons.size >= maxLoggedReasons) this.loggedReasons.clear();
    this.loggedReasons.add(text);
    this.context.log.warn(text);
  }
}

function resultOf(outcome: Exclude<WorkOutcome, { kind: "failed" }>, isOwn: boolean) {
  if (outcome.kind === "asset") return { result: null, has_download_error: outcome.hasError };
  // Without a result: there was nothing left to do for it.
  const result = isOwn || outcome.exitCode !== 0 ? `exit code ${outcome.exitCode}` : null;
  return { result, has_download_error: null };
}

function refused(status: number, error: string): Response {
  return Response.json({ error }, { status });
}

function notFound(): Response {
  return new Response("Not found", { status: 404 });
}
