// Records made by Perl itself are the reference: ours must be read by it, and by a reader of our own that reads Perl's.
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Chunk, recordHead, recordTail } from "../../src/results/storable.ts";
import { readChunk } from "../support/multipart.ts";

const vectors = join(import.meta.dir, "../fixtures/storable");

const inputs = {
  tiny: { bytes: Buffer.from("hello\n"), chunkBytes: 10 },
  exact: { bytes: Buffer.from("A".repeat(32)), chunkBytes: 16 },
  rest: { bytes: Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 256)), chunkBytes: 400 },
} as const;

function sum(kind: string, bytes: Uint8Array): string {
  return createHash(kind).update(bytes).digest("base64").replace(/=+$/, "");
}

interface WholeChunk extends Chunk {
  readonly content: Uint8Array;
  readonly sum: string;
}

function recordOf(chunk: WholeChunk): Buffer {
  const hex = Buffer.from(Buffer.from(chunk.content).toString("hex"));
  return Buffer.concat([recordHead(chunk), hex, recordTail(chunk.sum)]);
}

function chunkOf(bytes: Buffer, chunkBytes: number, index: number, file: string): WholeChunk {
  const start = (index - 1) * chunkBytes;
  const end = Math.min(start + chunkBytes, bytes.length);
  const content = bytes.subarray(start, end);
  const total = Math.max(1, Math.ceil(bytes.length / chunkBytes));
  return {
    start,
    end,
    index,
    total,
    totalSum: sum("sha256", bytes),
    sum: sum("sha1", content),
    file,
    content,
  };
}

test.each([
  ["tiny", 1, 1],
  ["exact", 1, 2],
  ["exact", 2, 2],
  ["rest", 1, 3],
  ["rest", 2, 3],
  ["rest", 3, 3],
] as const)("chunk %s %d of %d holds what Perl writes", async (name, index, total) => {
  const { bytes, chunkBytes } = inputs[name];
  const perls = Buffer.from(
    await Bun.file(join(vectors, `${name}.${index}-of-${total}.storable`)).arrayBuffer(),
  );
  const ours = recordOf(chunkOf(bytes, chunkBytes, index, `/tmp/${name}.bin`));
  expect(readChunk(ours)).toEqual(readChunk(perls));
  expect(ours.length).toBe(perls.length);
});

const edges: Readonly<Record<string, Partial<WholeChunk>>> = {
  "an empty file": { start: 0, end: 0, content: new Uint8Array() },
  "the smallest integer of four bytes": { start: 128, end: 131 },
  "the largest one byte integer": { start: 124, end: 127 },
  "the largest integer of four bytes": { start: 2 ** 31 - 4, end: 2 ** 31 - 1 },
  "the smallest integer beyond": { start: 2 ** 31 - 3, end: 2 ** 31 },
  "a file beyond 4 GiB": { start: 5_000_000_000, end: 5_000_000_003 },
  "content of just less than 255 hex characters": { start: 0, end: 127, content: Buffer.alloc(127, 7) },
  "content of just more": { start: 0, end: 128, content: Buffer.alloc(128, 7) },
  "a long path": { file: `/${"p".repeat(300)}` },
};
test.each(Object.entries(edges))("Perl thaws %s", async (_, edge) => {
  const chunk = { ...chunkOf(Buffer.from("abc"), 10, 1, "/pool/1/assets_public/x"), ...edge };
  const thawed = await thaw(recordOf(chunk));
  expect(thawed).toEqual({
    start: String(chunk.start),
    end: String(chunk.end),
    index: "1",
    total: "1",
    total_cksum: chunk.totalSum,
    cksum: chunk.sum,
    file: chunk.file,
    content: Buffer.from(chunk.content).toString("hex"),
  });
});

async function thaw(record: Uint8Array): Promise<Record<string, string>> {
  const script = 'binmode STDIN; local $/; my $r = thaw(<STDIN>); print "$_=$r->{$_}\n" for keys %$r';
  const perl = Bun.spawn(["perl", "-MStorable=thaw", "-e", script], { stdin: record });
  const lines = (await new Response(perl.stdout).text()).trimEnd().split("\n");
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}
