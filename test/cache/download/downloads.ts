// Downloads into a temporary folder, with small delays, and what they said and left.
import { expect } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { download } from "../../../src/cache/download/download.ts";
import type { Downloaded, DownloadRequest } from "../../../src/cache/download/download-request.ts";
import { Logger } from "../../../src/ops/log.ts";
import { statIfThere } from "../../../src/ops/stat-if-there.ts";

/** Small enough for tests, long enough for a busy machine. */
export const timing: DownloadRequest["timing"] = {
  retryDelayMs: 5,
  maxRetryDelayMs: 20,
  minBytesPerWindow: 100,
  rateWindowMs: 3000,
  answerMs: 5000,
};

export function randomContent(sizeBytes: number): Buffer<ArrayBuffer> {
  return randomBytes(sizeBytes);
}

export function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

export class Downloads implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly neededBytes: number[] = [];
  readonly controller = new AbortController();
  readonly context = {
    signal: this.controller.signal,
    log: new Logger([({ level, text }) => this.lines.push(`${level}: ${text}`)]),
  };

  private constructor(private readonly folder: string) {}

  static async prepare(): Promise<Downloads> {
    return new Downloads(await mkdtemp(join(tmpdir(), "download-")));
  }

  get partial(): string {
    return join(this.folder, "partial");
  }

  start(url: URL, changes: Partial<DownloadRequest> = {}): Promise<Downloaded> {
    const request: DownloadRequest = {
      url,
      credentials: undefined,
      etag: undefined,
      partial: this.partial,
      makeRoom: async (sizeBytes) => void this.neededBytes.push(sizeBytes),
      tries: 3,
      timing,
      ...changes,
    };
    return download(request, this.context);
  }

  /** Of what is in the file now. */
  async sizeBytes(): Promise<number> {
    return (await statIfThere(this.partial))?.size ?? 0;
  }

  content(): Promise<Buffer> {
    return readFile(this.partial);
  }

  async expectCame(started: Promise<Downloaded>, whole: Uint8Array, etag: string | undefined): Promise<void> {
    const facts = { kind: "fetched", etag, sizeBytes: whole.length, sha256: sha256(whole) };
    expect(await started).toMatchObject(facts);
    expect(sha256(await this.content())).toBe(facts.sha256);
  }

  /** Lines about tries that failed. */
  get failures(): string[] {
    return this.lines.filter((line) => line.startsWith("warn: "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.controller.abort();
    await rm(this.folder, { recursive: true });
  }
}
