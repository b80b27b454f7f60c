// The server's side of asset uploads, as far as it decides what a worker has to do: positions, sums, partial files that
// are thrown away, and the silence of 2023. Reads chunks by its own means.
import { createHash } from "node:crypto";
import { readChunk } from "../support/multipart.ts";
import { type Arrived, field, fileOf, refusal } from "./web-ui-double.ts";

interface Stored {
  readonly bytes: Buffer;
  readonly storedAtMs: number;
}

export class AssetServer {
  readonly stored = new Map<string, Stored>();
  private readonly partial = new Map<string, Buffer>();
  private readonly generation: 2023 | 2026;

  constructor(generation: 2023 | 2026 = 2026) {
    this.generation = generation;
  }

  /** To be scripted into a `WebUiDouble`. */
  readonly answer = (request: Arrived): Response | Promise<Response> | undefined => {
    if (request.method === "HEAD") return this.head(request.path);
    if (request.path.endsWith("/upload_state")) {
      this.partial.clear();
      return new Response("OK");
    }
    return request.path.endsWith("/artefact") ? this.chunk(request) : undefined;
  };

  private head(path: string): Response {
    const stored = this.stored.get(decodeURIComponent(path.replace("/assets/", "")));
    if (!stored) return new Response(null, { status: 404 });
    const date = (ms: number) => new Date(ms).toUTCString();
    const headers = { Date: date(Date.now()), "Last-Modified": date(stored.storedAtMs) };
    // Bun gives the answer to HEAD the length of this body.
    return new Response(stored.bytes, { headers });
  }

  private chunk(request: Arrived): Response | Promise<Response> {
    const { name, bytes } = fileOf(request);
    const chunk = readChunk(bytes);
    const content = Buffer.from(String(chunk["content"]), "hex");
    const start = Number(chunk["start"]);
    const isLast = chunk["index"] === chunk["total"];
    const file = Buffer.alloc(Math.max(start + content.length, this.partial.get(name)?.length ?? 0));
    this.partial.get(name)?.copy(file);
    content.copy(file, start);
    this.partial.set(name, file);
    if (isLast) this.partial.delete(name);
    if (sum("sha1", content) !== chunk["cksum"] || content.length !== Number(chunk["end"]) - start)
      return refusal(500, "Failed receiving asset: Can't verify written data from chunk");
    if (!isLast) return Response.json({ status: "ok" });
    const total = sum("sha256", file);
    if (total !== chunk["total_cksum"])
      return refusal(
        500,
        `Failed receiving asset: Checksum mismatch expected ${chunk["total_cksum"]} got: ${total}`,
      );
    const id = /\d+/.exec(request.path.replace("/api/v1", ""))?.[0] ?? "";
    const path = `${typeOf(name)}/${field(request, "asset") === "public" ? "" : `${id.padStart(8, "0")}-`}${name}`;
    const isRepeated = this.stored.has(path);
    this.stored.set(path, { bytes: file, storedAtMs: Date.now() });
    return isRepeated && this.generation === 2023 ? new Promise(() => {}) : Response.json({ status: "ok" });
  }
}

/** "INDEX/TOTAL" of the chunks that arrived, in order. */
export function chunksOf(requests: readonly Arrived[]): string {
  return requests
    .filter(({ path }) => path.endsWith("/artefact"))
    .map((request) => readChunk(fileOf(request).bytes))
    .map(({ index, total }) => `${index}/${total}`)
    .join(" ");
}

function typeOf(name: string): string {
  if (name.endsWith(".iso")) return "iso";
  return [".qcow2", ".raw", ".vhd", ".vhdx"].some((end) => name.endsWith(end)) ? "hdd" : "other";
}

function sum(kind: string, bytes: Buffer): string {
  return createHash(kind).update(bytes).digest("base64").replace(/=+$/, "");
}
