// Pixels to the smallest PNG that little effort brings. Whether it is right is for others to find out.
import { promisify } from "node:util";
import { deflate } from "node:zlib";
import { filteredRows, plainRows } from "./filtered-rows.ts";
import { bitsPerPixel, type IndexedPicture, indexedPicture, packedRows } from "./indexed-rows.ts";
import type { Pixels } from "./pixels.ts";
import { type PngChunk, writeChunks } from "./png-chunks.ts";

const deflated = promisify<Uint8Array, { level: number; chunkSize: number }, Buffer>(deflate);
const bestLevel = 9;
const outputPieceBytes = 1024 * 1024;

const colourTypes = { rgb: 2, palette: 3, rgba: 6 } as const;

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
  const rgb = palette.flatMap((colour) => [colour & 0xff, (colour >> 8) & 0xff, (colour >> 16) & 0xff]);
  const alpha = palette.map((colour) => colour >>> 24);
  const isOpaque = alpha.every((each) => each === 0xff);
  return [
    headerChunk(pixels, bits, colourTypes.palette),
    { type: "PLTE", content: Uint8Array.from(rgb) },
    ...(isOpaque ? [] : [{ type: "tRNS", content: Uint8Array.from(alpha) }]),
    await pixelChunk(packedRows(indexes, pixels.width, bits)),
  ];
}

async function fullColour(pixels: Pixels): Promise<Chunks> {
  const [plain, filtered] = [plainRows(pixels), filteredRows(pixels)];
  const rows = quickSize(plain) <= quickSize(filtered) ? plain : filtered;
  const colourType = pixels.channels === 4 ? colourTypes.rgba : colourTypes.rgb;
  return [headerChunk(pixels, 8, colourType), await pixelChunk(rows)];
}

/** Tells in a tenth of the time which of two will be smaller. */
function quickSize(rows: Uint8Array<ArrayBuffer>): number {
  return Bun.deflateSync(rows, { library: "libdeflate", level: 1 }).length;
}

async function pixelChunk(rows: Uint8Array): Promise<PngChunk> {
  return { type: "IDAT", content: await deflated(rows, { level: bestLevel, chunkSize: outputPieceBytes }) };
}

function headerChunk({ width, height }: Pixels, depth: number, colourType: number): PngChunk {
  const content = Buffer.alloc(13);
  content.writeUInt32BE(width);
  content.writeUInt32BE(height, 4);
  content.set([depth, colourType], 8);
  return { type: "IHDR", content };
}
