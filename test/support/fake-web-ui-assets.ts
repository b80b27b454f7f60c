// Assets as a web UI, or the proxy before it, serves them to caches: ETag, If-None-Match, and ranges with If-Range.
// Only what a test has put there exists.
import { createHash } from "node:crypto";

export type AssetContent = Uint8Array<ArrayBuffer>;

export class FakeAssets {
  /** By "TYPE/NAME". */
  private readonly contents = new Map<string, AssetContent>();

  /** As in "iso/a.iso". */
  put(asset: string, content: string | AssetContent): void {
    this.contents.set(asset, typeof content === "string" ? new TextEncoder().encode(content) : content);
  }

  /** What a GET gets: of a job's asset, or of one as the proxy serves it. Undefined for other paths. */
  answer(method: string, path: string, headers: Headers): Response | undefined {
    const [, asset] = /^(?:\/tests\/\d+\/asset|\/assets)\/([^/]+\/[^/]+)$/.exec(path) ?? [];
    if (method !== "GET" || asset === undefined) return undefined;
    const content = this.contents.get(decodeURIComponent(asset));
    return content ? assetResponse(content, headers) : new Response("Not Found", { status: 404 });
  }
}

export function assetResponse(content: AssetContent, headers: Headers): Response {
  const etag = etagOf(content);
  if (headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers: { etag } });
  const known = { etag, "content-type": "application/octet-stream" };
  const start = Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1] ?? 0);
  if (start === 0 || headers.get("if-range") !== etag) return new Response(content, { headers: known });
  const range = `bytes ${start}-${content.byteLength - 1}/${content.byteLength}`;
  return new Response(content.subarray(start), {
    status: 206,
    headers: { ...known, "content-range": range },
  });
}

export function etagOf(content: Uint8Array): string {
  return `"${createHash("sha256").update(content).digest("hex").slice(0, 16)}"`;
}
