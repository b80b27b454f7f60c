// PNGs of every kind, made from a seed: the same each time. Any bytes are pixels to PNG, so rows are made up as they lie
// in the file, filtered or not.
import { crc32, deflateSync } from "node:zlib";
import { passes } from "./decode-png.ts";

export interface PngKind {
  readonly width: number;
  readonly height: number;
  /** 0 gray, 2 RGB, 3 palette, 4 gray with alpha, 6 RGBA. */
  readonly colourType: 0 | 2 | 3 | 4 | 6;
  readonly depth: 1 | 2 | 4 | 8 | 16;
  readonly isInterlaced?: boolean;
  /** tRNS: alpha of the palette, or the colour that is transparent. */
  readonly hasTransparency?: boolean;
  /** Of the bytes of the rows. Default: as the seed has it. */
  readonly texture?: (typeof textures)[number];
  readonly extraChunks?: readonly Chunk[];
}

export type Chunk = readonly [type: string, content: Uint8Array];

const textures = ["flat", "few values", "stripes", "gradient", "noise"] as const;
const samplesPerPixel = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;
const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");

/** A number below the bound at each call. */
export type Dice = (bound: number) => number;

/** mulberry32. */
export function diceOf(seed: number): Dice {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}

export function makePng(kind: PngKind, dice: Dice): Buffer {
  return pngFile(chunksOf(kind, dice));
}

export function chunksOf(kind: PngKind, dice: Dice): Chunk[] {
  const { colourType, hasTransparency, extraChunks = [] } = kind;
  const bytes = (length: number) => Buffer.from(Array.from({ length }, () => dice(256)));
  const colours = 2 ** Math.min(kind.depth, 8);
  const key = Buffer.from(
    Array.from({ length: samplesPerPixel[colourType] }, () => [0, dice(colours)]).flat(),
  );
  return [
    ["IHDR", ihdr(kind)],
    ...extraChunks,
    ...(colourType === 3 ? [["PLTE", bytes(colours * 3)] as const] : []),
    ...(hasTransparency ? [["tRNS", colourType === 3 ? bytes(1 + dice(colours)) : key] as const] : []),
    // Not compressed at times, as there is always a smaller one then.
    ["IDAT", deflateSync(rowsOf(kind, dice), { level: dice(2) })],
    ["IEND", Buffer.alloc(0)],
  ];
}

export function pngFile(chunks: readonly Chunk[]): Buffer {
  const framed = chunks.flatMap(([type, content]) => {
    const body = Buffer.concat([Buffer.from(type, "latin1"), content]);
    return [uint32(content.length), body, uint32(crc32(body))];
  });
  return Buffer.concat([signature, ...framed]);
}

export function ihdr({ width, height, depth, colourType, isInterlaced }: PngKind): Buffer {
  const methods = Buffer.from([depth, colourType, 0, 0, isInterlaced ? 1 : 0]);
  return Buffer.concat([uint32(width), uint32(height), methods]);
}

/** All rows of all passes, each behind the type of its filter. */
export function rowsOf(kind: PngKind, dice: Dice): Buffer {
  const { width, height, depth, colourType, isInterlaced } = kind;
  const texture = kind.texture ?? textures[dice(textures.length)]!;
  const isFiltered = dice(2) === 1;
  const rows: Buffer[] = [];
  for (const [left, top, stepX, stepY] of isInterlaced ? passes : [[0, 0, 1, 1] as const]) {
    const columns = Math.max(0, Math.ceil((width - left) / stepX));
    const lines = columns > 0 ? Math.max(0, Math.ceil((height - top) / stepY)) : 0;
    const rowBytes = Math.ceil((columns * depth * samplesPerPixel[colourType]) / 8);
    for (let line = 0; line < lines; line++)
      rows.push(Buffer.from([isFiltered ? dice(5) : 0]), textured(texture, rowBytes, line, dice));
  }
  return Buffer.concat(rows);
}

function textured(texture: (typeof textures)[number], length: number, line: number, dice: Dice): Buffer {
  const value = {
    flat: () => 0x55,
    "few values": () => dice(4) * 85,
    stripes: (at: number) => ((at >> 3) & 1 ? 0xff : 0),
    gradient: (at: number) => (at + line) & 0xff,
    noise: () => dice(256),
  }[texture];
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = value(at);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
