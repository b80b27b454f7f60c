// Asset chunks as the server reads them: a hash of Perl's Storable, network order, in memory (protocol 7). Written
// here because no library writes it.

/** A piece of an asset; its bytes and their sum come apart from it. */
export interface Chunk {
  /** Byte offsets in the file. */
  readonly start: number;
  readonly end: number;
  /** From 1. */
  readonly index: number;
  readonly total: number;
  /** SHA-256 of the whole file, base64 without padding. */
  readonly totalSum: string;
  /** Path of the file on this host; the server only logs it. */
  readonly file: string;
}

/**
 * A chunk's record is this, then the bytes as lower-case hex text, then `recordTail`: in this order nothing of the
 * content has to be known before it is sent.
 */
export function recordHead({ start, end, index, total, totalSum, file }: Chunk): Buffer<ArrayBuffer> {
  const entries = [
    entry("start", integer(start)),
    entry("end", integer(end)),
    entry("index", integer(index)),
    entry("total", integer(total)),
    entry("total_cksum", text(totalSum)),
    entry("file", text(file)),
  ];
  // The content and its sum come after these.
  const magic = [Buffer.from([0x05, 0x0b, 0x03]), u32(entries.length + 2)];
  return Buffer.concat([...magic, ...entries.flat(), stringHead(2 * (end - start))]);
}

/** `sum`: SHA-1 of the chunk's bytes, base64 without padding. */
export function recordTail(sum: string): Buffer<ArrayBuffer> {
  return Buffer.concat([...entry("content", []), ...entry("cksum", text(sum))]);
}

/** A hash has its values before their keys. */
function entry(key: string, value: readonly Uint8Array[]): Uint8Array[] {
  return [...value, u32(key.length), Buffer.from(key)];
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
  const bytes = Buffer.from(value);
  return [stringHead(bytes.length), bytes];
}

function stringHead(lengthBytes: number): Uint8Array {
  if (lengthBytes <= 255) return Buffer.from([0x0a, lengthBytes]);
  return Buffer.concat([Buffer.from([0x01]), u32(lengthBytes)]);
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
