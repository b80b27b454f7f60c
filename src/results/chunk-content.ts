// The file content of a chunk's upload, made piece by piece while it is sent (protocol 7): neither a chunk nor its hex
// text, which is twice as long, is ever in memory as a whole, and no step keeps the event loop for long.
import { filePieces } from "../webui/file-pieces.ts";
import type { MadePart } from "../webui/web-ui.ts";
import { writeHex } from "./hex.ts";
import type { PoolFile } from "./pool-file.ts";
import { type Chunk, recordHead, recordTail } from "./storable.ts";

/** Hashing or writing as hex text takes less than a millisecond for so many bytes. */
const pieceBytes = 256 * 1024;

/** The record of a chunk, read and summed up anew at each try. */
export function chunkContent(file: PoolFile, chunk: Chunk): MadePart {
  const head = recordHead(chunk);
  // Sums of the same kind have the same length.
  const tailBytes = recordTail(base64Of(new Bun.CryptoHasher("sha1"))).length;
  return {
    sizeBytes: head.length + 2 * (chunk.end - chunk.start) + tailBytes,
    async *pieces() {
      const hex = new Uint8Array(2 * Math.min(pieceBytes, chunk.end - chunk.start));
      yield head;
      const hasher = new Bun.CryptoHasher("sha1");
      for await (const piece of piecesOf(file, chunk.start, chunk.end)) {
        hasher.update(piece);
        writeHex(piece, hex);
        yield hex.subarray(0, 2 * piece.length);
      }
      yield recordTail(base64Of(hasher));
    },
  };
}

/** SHA-256 of a file, base64 without padding. */
export async function sumOf(file: PoolFile, signal: AbortSignal): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const piece of piecesOf(file, 0, file.sizeBytes)) {
    signal.throwIfAborted();
    hasher.update(piece);
  }
  return base64Of(hasher);
}

function piecesOf(file: PoolFile, start: number, end: number) {
  return filePieces(file.handle.fd, { start, end, pieceBytes });
}

function base64Of(hasher: Bun.CryptoHasher): string {
  return hasher.digest("base64").replace(/=+$/, "");
}
