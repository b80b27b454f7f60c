// Asset chunks as the server reads them: a hash of Perl's Storable, network order, in memory (protocol 7). Written
// here because no library writes it.

/** A piece of an asset. */
export interface Chunk {
  /** Byte offsets in the file. */
  readonly start: number;
  readonly end: number;
  /** From 1. */
  readonly index: number;
  readonly total: number;
  /** SHA-256 of the whole file, base64 without padding. */
  readonly totalSum: string;
  /** SHA-1 of the piece, base64 without padding. */
  readonly sum: string;
  /** Path of the file on this host; the server only logs it. */
  readonly file: string;
  readonly content: Uint8Array;
}

/** The record that is a chunk's file content in the upload. */
export function chunkRecord(chunk: Chunk): Uint8Array {
  const { start, end, index, total, totalSum, sum, file, content } = chunk;
  const entries = Object.entries({
    start: integer(start),
    end: integer(end),
    index: integer(index),
    total: integer(total),
    total_cksum: text(totalSum),
    cksum: text(sum),
    file: text(file),
    content: string(hexOf(content)),
  });
  const head = [Buffer.from([0x05, 0x0b, 0x03]), u32(entries.length)];
  const body = entries.flatMap(([key, value]) => [...value, u32(key.length), Buffer.from(key)]);
  return Buffer.concat([...head, ...body]);
}

/** Beyond 32 bits Perl itself writes integers as text. */
function integer(value: number): Uint8Array[] {
  if (value >= -128 && value <= 127) return [Buffer.from([0x08, value + 128])];
  if (value < -0x80000000 || value > 0x7fffffff) return text(String(value));
  const bytes = Buffer.from([0x09, 0, 0, 0, 0]);
  bytes.writeInt32BE(value, 1);
  return [bytes];
}

function text(value: string): Uint8Array[] {
  return string(Buffer.from(value));
}

function string(bytes: Uint8Array): Uint8Array[] {
  if (bytes.length <= 255) return [Buffer.from([0x0a, bytes.length]), bytes];
  return [Buffer.from([0x01]), u32(bytes.length), bytes];
}

const hexPieceBytes = 64 * 1024;

/** In pieces, as a chunk's hex text as one string would double what the chunk takes in memory. */
function hexOf(content: Uint8Array): Uint8Array {
  const source = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const hex = Buffer.allocUnsafe(source.length * 2);
  for (let at = 0; at < source.length; at += hexPieceBytes)
    hex.write(source.toString("hex", at, at + hexPieceBytes), at * 2, "latin1");
  return hex;
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
