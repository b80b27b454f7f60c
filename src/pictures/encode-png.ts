// Pixels to the smallest PNG that little effort brings. Whether it is right is for others to find out.
import { promisify } from "node:util";
import { constants, deflate, type ZlibOptions } from "node:zlib";
import { filteredRows, plainRows } from "./filtered-rows.ts";
import { bitsPerPixel, type IndexedPicture, indexedPicture, packedRows } from "./indexed-rows.ts";
import type { Pixels } from "./pixels.ts";
import { type PngChunk, writeChunks } from "./png-chunks.ts";

const deflated = promisify<Uint8Array, ZlibOptions, Buffer>(deflate);
const bestLevel = 9;
/** Rows above this take seconds at the best level; most is won at this one. */
const hugeRowsBytes = 16 * 1024 * 1024;
const hugeRowsLevel = 6;
const outputPieceBytes = 1024 * 1024;
/** How zlib looks at rows. Drawn screens: many short repeats, not worth the bits that say how far back they are. */
const { Z_FILTERED: fewColours, Z_DEFAULT_STRATEGY: manyColours } = constants;

const colourTypes = { gray: 0, rgb: 2, palette: 3, rgba: 6 } as const;
/** Thumbnails have fewer pixels: trying both ways costs next to nothing. */
const smallPicturePixels = 40_000;
const sampleBandRows = 16;
/** Of so many bands, one is looked at. */
const sampleShare = 4;

/** With a palette if that can hold all colours. The notes go in as they are. */
export async function encodePng(pixels: Pixels, notes: readonly PngChunk[]): Promise<Uint8Array> {
  const indexed = indexedPicture(pixels);
  const chunks = indexed === undefined ? await fullColour(pixels) : await withPalette(pixels, indexed);
  const [header, ...others] = chunks;
  return writeChunks([header, ...notes, ...others, { type: "IEND", content: new Uint8Array() }]);
}

type Chunks = [header: PngChunk, ...others: PngChunk[]];

async function withPalette(pixels: Pixels, { palette, indexes }: IndexedPicture): Promise<Chunks> {
  const bits = bitsPerPixel(palette.length);
  if (bits === 8 && palette.every(isGray)) return await withGrays(pixels, { palette, indexes });
  const rgb = palette.flatMap((colour) => [colour & 0xff, (colour >> 8) & 0xff, (colour >> 16) & 0xff]);
  const alpha = palette.map((colour) => colour >>> 24);
  const isOpaque = alpha.every((each) => each === 0xff);
  return [
    headerChunk(pixels, bits, colourTypes.palette),
    { type: "PLTE", content: Uint8Array.from(rgb) },
    ...(isOpaque ? [] : [{ type: "tRNS", content: Uint8Array.from(alpha) }]),
    await pixelChunk(packedRows(indexes, pixels.width, bits), fewColours),
  ];
}

/** With a byte per pixel, grays need no palette. */
async function withGrays(pixels: Pixels, { palette, indexes }: IndexedPicture): Promise<Chunks> {
  const grays = indexes.map((index) => (palette[index] ?? 0) & 0xff);
  return [
    headerChunk(pixels, 8, colourTypes.gray),
    await pixelChunk(packedRows(grays, pixels.width, 8), fewColours),
  ];
}

function isGray(colour: number): boolean {
  const level = colour & 0xff;
  return colour >>> 0 === (0xff000000 | (level << 16) | (level << 8) | level) >>> 0;
}

async function fullColour(pixels: Pixels): Promise<Chunks> {
  const isSmall = pixels.width * pixels.height <= smallPicturePixels;
  const ways = isSmall ? [plainRows, filteredRows] : [likelyBestRows(pixels)];
  const tries = await Promise.all(ways.map((rowsOf) => pixelChunk(rowsOf(pixels), manyColours)));
  const smallest = tries.reduce((best, each) => (each.content.length < best.content.length ? each : best));
  const colourType = pixels.channels === 4 ? colourTypes.rgba : colourTypes.rgb;
  return [headerChunk(pixels, 8, colourType), smallest];
}

/** Filtering a photograph pays, and costs as much in vain otherwise: parts of it, compressed with haste, tell. */
function likelyBestRows(pixels: Pixels): typeof plainRows {
  const sample = sampleOf(pixels);
  const size = (rowsOf: typeof plainRows) =>
    Bun.deflateSync(rowsOf(sample), { library: "libdeflate", level: 1 }).length;
  return size(plainRows) <= size(filteredRows) ? plainRows : filteredRows;
}

function sampleOf(pixels: Pixels): Pixels {
  const bandBytes = sampleBandRows * pixels.width * pixels.channels;
  const bands: Uint8Array[] = [];
  for (let at = 0; at < pixels.bytes.length; at += sampleShare * bandBytes)
    bands.push(pixels.bytes.subarray(at, at + bandBytes));
  const bytes = Buffer.concat(bands);
  return { ...pixels, bytes, height: bytes.length / (pixels.width * pixels.channels) };
}

async function pixelChunk(rows: Uint8Array, strategy: number): Promise<PngChunk> {
  const level = rows.length <= hugeRowsBytes ? bestLevel : hugeRowsLevel;
  return { type: "IDAT", content: await deflated(rows, { level, strategy, chunkSize: outputPieceBytes }) };
}

function headerChunk({ width, height }: Pixels, depth: number, colourType: number): PngChunk {
  const content = Buffer.alloc(13);
  content.writeUInt32BE(width);
  content.writeUInt32BE(height, 4);
  content.set([depth, colourType], 8);
  return { type: "IHDR", content };
}
