// A decoder of PNGs by the letter of the standard, for comparison: it shares nothing with what encodes or decodes in the
// worker but zlib. Up to 8 bits per channel; what it is given has to be well-formed.
import { inflateSync } from "node:zlib";

export interface DecodedPng {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue, alpha for each pixel. */
  readonly rgba: Buffer;
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colourType: number;
  readonly isInterlaced: boolean;
  readonly palette: Buffer;
  readonly transparency: Buffer;
}

const samplesPerPixel: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** Adam7: first column and row, steps between them. */
export const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export function decodePng(file: Uint8Array): DecodedPng {
  const { header, compressed } = readFile(Buffer.from(file));
  const { width, height } = header;
  const rows = inflateSync(compressed);
  const rgba = Buffer.alloc(width * height * 4);
  let at = 0;
  for (const [left, top, stepX, stepY] of header.isInterlaced ? passes : [[0, 0, 1, 1] as const]) {
    const columns = Math.ceil((width - left) / stepX);
    const lines = columns > 0 ? Math.ceil((height - top) / stepY) : 0;
    const rowBytes = Math.ceil((columns * bitsPerPixel(header)) / 8);
    let above: Buffer = Buffer.alloc(rowBytes);
    for (let line = 0; line < lines; line++, at += rowBytes + 1) {
      const row = unfiltered(rows.subarray(at, at + rowBytes + 1), above, header);
      for (let column = 0; column < columns; column++) {
        const pixel = (top + line * stepY) * width + left + column * stepX;
        rgba.set(pixelOf(row, column, header), pixel * 4);
      }
      above = row;
    }
  }
  return { width, height, rgba };
}

function readFile(file: Buffer): { header: Header; compressed: Buffer } {
  const found = new Map<string, Buffer>();
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString("latin1", at + 4, at + 8);
    const content = file.subarray(at + 8, at + 8 + length);
    found.set(type, Buffer.concat([found.get(type) ?? Buffer.alloc(0), content]));
    at += 12 + length;
  }
  const ihdr = found.get("IHDR")!;
  const header: Header = {
    width: ihdr.readUInt32BE(0),
    height: ihdr.readUInt32BE(4),
    depth: ihdr[8]!,
    colourType: ihdr[9]!,
    isInterlaced: ihdr[12] === 1,
    palette: found.get("PLTE") ?? Buffer.alloc(0),
    transparency: found.get("tRNS") ?? Buffer.alloc(0),
  };
  return { header, compressed: found.get("IDAT")! };
}

function bitsPerPixel({ depth, colourType }: Header): number {
  return depth * samplesPerPixel[colourType]!;
}

function unfiltered(filteredRow: Buffer, above: Buffer, header: Header): Buffer {
  const distance = Math.max(1, bitsPerPixel(header) / 8);
  const row = Buffer.from(filteredRow.subarray(1));
  for (let at = 0; at < row.length; at++) {
    const a = at < distance ? 0 : row[at - distance]!;
    const b = above[at]!;
    const c = at < distance ? 0 : above[at - distance]!;
    row[at] = row[at]! + [0, a, b, (a + b) >> 1, paeth(a, b, c)][filteredRow[0]!]!;
  }
  return row;
}

function paeth(a: number, b: number, c: number): number {
  const estimate = a + b - c;
  const [best] = [a, b, c].sort((x, y) => Math.abs(estimate - x) - Math.abs(estimate - y));
  return best!;
}

function pixelOf(row: Buffer, column: number, header: Header): readonly number[] {
  const { depth, colourType, palette, transparency } = header;
  const count = samplesPerPixel[colourType]!;
  const samples = Array.from({ length: count }, (_, index) => sampleAt(row, column * count + index, depth));
  if (colourType === 3) {
    const [index] = samples;
    return [...palette.subarray(index! * 3, index! * 3 + 3), transparency[index!] ?? 255];
  }
  const isKey = samples.every(
    (sample, index) => transparency.length > index * 2 && transparency.readUInt16BE(index * 2) === sample,
  );
  const alpha = isKey ? 0 : 255;
  const [first, second, third, fourth] = samples.map((sample) => (sample * 255) / (2 ** depth - 1));
  if (colourType === 0) return [first!, first!, first!, alpha];
  if (colourType === 4) return [first!, first!, first!, second!];
  return [first!, second!, third!, fourth ?? alpha];
}

function sampleAt(row: Buffer, index: number, depth: number): number {
  const bit = index * depth;
  return (row[bit >> 3]! >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
}
