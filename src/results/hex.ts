// Bytes as lower-case hex text, written into memory that is there already: hex text as strings takes less CPU by itself,
// but lets the heap grow by tens of megabytes. On processors whose lowest byte comes first, as all that Bun runs on.

/** For two bytes that are read as one number: their four characters as one number. */
let table: Uint32Array | undefined;

/** Writes `2 * bytes.length` characters to the start of `hex`. Both have to begin at a multiple of four in their memory. */
export function writeHex(bytes: Uint8Array, hex: Uint8Array): void {
  table ??= makeTable();
  const pairs = bytes.length >> 1;
  const from = new Uint16Array(bytes.buffer, bytes.byteOffset, pairs);
  const to = new Uint32Array(hex.buffer, hex.byteOffset, pairs);
  for (let at = 0; at < pairs; at++) to[at] = table[from[at] ?? 0] ?? 0;
  if (bytes.length % 2 === 1) hex.set(charactersOf(bytes[bytes.length - 1] ?? 0), 4 * pairs);
}

function makeTable(): Uint32Array {
  return Uint32Array.from({ length: 0x10000 }, (_, pair) => {
    const [first = 0, second = 0] = charactersOf(pair & 0xff);
    const [third = 0, fourth = 0] = charactersOf(pair >> 8);
    return first | (second << 8) | (third << 16) | (fourth << 24);
  });
}

function charactersOf(byte: number): readonly number[] {
  const text = byte.toString(16).padStart(2, "0");
  return [text.charCodeAt(0), text.charCodeAt(1)];
}
