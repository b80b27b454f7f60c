// A cache directory in the folder for temporary files, with assets and what is known of them, for tests of the index.

import { Database } from "bun:sqlite";
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type AssetVersion, writeNotes } from "../../../src/cache/asset-notes.ts";
import { type CacheFolder, openCacheFolder } from "../../../src/cache/cache-folder.ts";
import { hashFile } from "../../../src/cache/hash-file.ts";
import { CacheIndex } from "../../../src/cache/index/cache-index.ts";
import type { ThreadOptions } from "../../../src/cache/index/running-thread.ts";
import type { Context } from "../../../src/context.ts";
import { type LogEntry, Logger } from "../../../src/ops/log.ts";

/** Time of change of all assets, in Unix seconds. */
const fetchedAt = 1_700_000_000;

export class IndexSandbox implements AsyncDisposable {
  readonly entries: LogEntry[] = [];
  readonly context: Context;
  private readonly indexes: CacheIndex[] = [];

  private constructor(readonly folder: CacheFolder) {
    const log = new Logger([(entry) => this.entries.push(entry)]);
    this.context = { signal: new AbortController().signal, log };
  }

  static async make(): Promise<IndexSandbox> {
    return new IndexSandbox(await openCacheFolder(await mkdtemp(join(tmpdir(), "cache-index-"))));
  }

  index(options: Partial<ThreadOptions> = {}): CacheIndex {
    const index = new CacheIndex(this.folder, { waitMs: 5000, ...options }, this.context.log);
    this.indexes.push(index);
    return index;
  }

  path(name: string): string {
    return join(this.folder.directory, "web-ui", name);
  }

  /** A file with its notes, as after a download. */
  async addAsset(name: string, content: string): Promise<string> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    await utimes(path, fetchedAt, fetchedAt);
    const { size, mtimeNs } = await stat(path, { bigint: true });
    const sha256 = await hashFile(path, this.context);
    const version: AssetVersion = { etag: `"${name}"`, sizeBytes: Number(size), mtimeNs, sha256 };
    await writeNotes(this.folder, path, [version]);
    return path;
  }

  /** Other content of the same length, with the time of change that it had. */
  async falsify(path: string): Promise<void> {
    await writeFile(path, "x".repeat((await stat(path)).size));
    await utimes(path, fetchedAt, fetchedAt);
  }

  /** Names of the damaged files that are kept. */
  async damaged(): Promise<string[]> {
    return (await readdir(this.folder.damagedFolder)).filter((name) => name.startsWith("cache.")).sort();
  }

  sql(statements: string): void {
    using database = new Database(this.folder.indexFile);
    database.run(statements);
  }

  logged(level: LogEntry["level"]): string[] {
    return this.entries.filter((entry) => entry.level === level).map(({ text }) => text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of this.indexes) await index.close();
    await rm(this.folder.directory, { recursive: true });
  }
}
