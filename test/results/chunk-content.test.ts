import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { truncate } from "node:fs/promises";
import { UnreadablePartError } from "../../src/errors.ts";
import { chunkContent, sumOf } from "../../src/results/chunk-content.ts";
import { openInside, type PoolFile } from "../../src/results/pool-file.ts";
import type { MadePart } from "../../src/webui/web-ui.ts";
import { readChunk } from "../support/multipart.ts";
import { TemporaryPool } from "./temporary-pool.ts";

function sum(kind: string, bytes: Uint8Array): string {
  return createHash(kind).update(bytes).digest("base64").replace(/=+$/, "");
}

async function opened(pool: TemporaryPool): Promise<PoolFile> {
  return (await openInside(pool.directory, "asset"))!;
}

function chunkAt(start: number, end: number) {
  return { start, end, index: 2, total: 3, totalSum: "of all", file: "/pool/asset" };
}

/** A piece is valid only until the next is asked for. */
async function collected(content: MadePart): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of content.pieces()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const never = new AbortController().signal;
const bytes = Buffer.from(Array.from({ length: 500_000 }, (_, at) => (at * at) % 251));

test.each([
  ["in the middle", 100_001, 450_000],
  ["of one piece", 0, 10],
  ["of exactly one piece", 0, 256 * 1024],
  ["without a byte", 7, 7],
])("a chunk %s is the record that was announced", async (_, start, end) => {
  await using pool = await TemporaryPool.make({ asset: bytes });
  await using file = await opened(pool);
  const content = chunkContent(file, chunkAt(start, end));
  for (const attempt of [1, 2]) {
    const record = await collected(content);
    expect(record.length, `try ${attempt}`).toBe(content.sizeBytes);
    expect(readChunk(record)).toEqual({
      start,
      end,
      index: 2,
      total: 3,
      total_cksum: "of all",
      file: "/pool/asset",
      cksum: sum("sha1", bytes.subarray(start, end)),
      content: bytes.toString("hex", start, end),
    });
  }
});

test("a big chunk is never in memory as a whole, nor handed over at once", async () => {
  const chunkBytes = 100_000_000;
  await using pool = await TemporaryPool.make({ asset: "" });
  await truncate(pool.path("asset"), chunkBytes);
  await using file = await opened(pool);
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  let peak = before;
  let largest = 0;
  for await (const piece of chunkContent(file, chunkAt(0, chunkBytes)).pieces()) {
    peak = Math.max(peak, process.memoryUsage().rss);
    largest = Math.max(largest, piece.length);
  }
  expect(peak - before).toBeLessThan(chunkBytes / 2);
  expect(largest).toBeLessThan(1_000_000);
});

test("a file that has become shorter says so", async () => {
  await using pool = await TemporaryPool.make({ asset: bytes });
  await using file = await opened(pool);
  await truncate(pool.path("asset"), 300_000);
  const read = collected(chunkContent(file, chunkAt(200_000, 400_000)));
  await expect(read).rejects.toThrow(UnreadablePartError);
  await expect(read).rejects.toThrow("File has only 300000 bytes, expected 400000");
});

test("the sum of a file is that of all its bytes, and ends with the signal", async () => {
  await using pool = await TemporaryPool.make({ asset: bytes });
  await using file = await opened(pool);
  expect(await sumOf(file, never)).toBe(sum("sha256", bytes));
  await expect(sumOf(file, AbortSignal.abort(new Error("stopped")))).rejects.toThrow("stopped");
});
