// A web server with assets whose contents a test changes: ETag, ranges, If-Range and a log of what it sent.
import { type AssetContent, assetResponse } from "../support/fake-web-ui-assets.ts";

export { etagOf } from "../support/fake-web-ui-assets.ts";

export interface Served {
  readonly path: string;
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
}

export class AssetServer implements AsyncDisposable {
  readonly served: Served[] = [];
  /** By path, e.g. "/tests/1/asset/iso/a.iso". */
  readonly contents = new Map<string, AssetContent>();
  /** Looked at before anything else. */
  answer: (request: Request) => Response | Promise<Response> | undefined = () => undefined;
  private readonly server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch: (request) => this.serve(request),
  });

  get url(): string {
    return `http://127.0.0.1:${this.server.port}`;
  }

  put(path: string, content: string | AssetContent): void {
    this.contents.set(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
  }

  /** Statuses of the answers so far. */
  get statuses(): number[] {
    return this.served.map(({ status }) => status);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop(true);
  }

  private async serve(request: Request): Promise<Response> {
    const path = decodeURIComponent(new URL(request.url).pathname);
    const response = (await this.answer(request)) ?? this.file(path, request.headers);
    const bytes = Number(response.headers.get("content-length") ?? 0);
    this.served.push({ path, status: response.status, bytes });
    return response;
  }

  private file(path: string, headers: Headers): Response {
    const content = this.contents.get(path);
    if (!content) return new Response("Not Found", { status: 404 });
    return assetResponse(content, headers);
  }
}
