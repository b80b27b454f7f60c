// Which PNGs are optimised: those in which nothing but their pixels says how they look, of the depth that screenshots
// have. All others are left alone, and native code never sees them.
import { type PngChunk, readChunks } from "./png-chunks.ts";

/** 5K screens have fewer. Each costs about 15 bytes of memory while it is worked on. */
export const maxPicturePixels = 4096 * 4096;
export const maxPictureBytes = 64 * 1024 * 1024;

export interface PlainPng {
  readonly width: number;
  readonly height: number;
  /** Of some kind: a channel, a palette's or a colour that is. */
  readonly hasTransparency: boolean;
  /** Chunks that change nothing about how it looks. */
  readonly notes: readonly PngChunk[];
  /** Contents of the IDAT chunks: one zlib stream. */
  readonly compressed: readonly Uint8Array[];
}

interface Fault {
  readonly fault: string;
}

const pixelChunks = ["IHDR", "PLTE", "tRNS", "IDAT", "IEND"];
const noteChunks = ["tEXt", "tIME", "pHYs"];
/** Bits per channel that screenshots have, by colour type: gray, RGB, palette, gray with alpha, RGBA. */
const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8],
  2: [8],
  3: [1, 2, 4, 8],
  4: [8],
  6: [8],
};
const paletteType = 3;
const alphaTypes = [4, 6];
/** Of the colour that is transparent, where there is one. */
const keyBytes: Readonly<Record<number, number>> = { 0: 2, 2: 6 };

/** What there is to know of a picture without decoding it, or why it is left alone. */
export function plainPng(file: Uint8Array): PlainPng | Fault {
  if (file.length > maxPictureBytes)
    return { fault: `it has ${file.length} bytes, more than ${maxPictureBytes}` };
  const chunks = readChunks(file);
  if ("fault" in chunks) return chunks;
  const types = chunks.map(({ type }) => type);
  const unusual = types.find((type) => !pixelChunks.includes(type) && !noteChunks.includes(type));
  if (unusual !== undefined) return { fault: `it has a chunk ${JSON.stringify(unusual)}` };
  const isInOrder = /^IHDR (PLTE )?(tRNS )?(IDAT )+IEND$/.test(
    types.filter((type) => pixelChunks.includes(type)).join(" "),
  );
  if (!isInOrder || types[0] !== "IHDR") return { fault: "its chunks are not in order" };
  return plainHeader(chunks);
}

function plainHeader(chunks: readonly PngChunk[]): PlainPng | Fault {
  const header = chunks[0]?.content;
  if (header?.length !== 13) return { fault: "its header has another length" };
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth = 0, colourType = -1, compression, filter, interlace = -1] = header.subarray(8);
  if (width < 1 || height < 1 || width * height > maxPicturePixels)
    return { fault: `it is of ${width}x${height} pixels, more than ${maxPicturePixels} or none` };
  if (!depths[colourType]?.includes(depth))
    return { fault: `it has ${depth} bits per channel with colour type ${colourType}` };
  if (compression !== 0 || filter !== 0 || interlace > 1)
    return { fault: "its header asks for a method that there is not" };
  const named = (type: string) => chunks.find((chunk) => chunk.type === type)?.content;
  const [palette, transparency] = [named("PLTE"), named("tRNS")];
  if (!isPaletteRight(palette, depth, colourType)) return { fault: "its palette is missing or wrong" };
  if (!isTransparencyRight(transparency, palette, depth, colourType))
    return { fault: "its transparency is wrong" };
  return {
    width,
    height,
    hasTransparency: transparency !== undefined || alphaTypes.includes(colourType),
    notes: chunks.filter(({ type }) => noteChunks.includes(type)),
    compressed: chunks.filter(({ type }) => type === "IDAT").map(({ content }) => content),
  };
}

function isPaletteRight(palette: Uint8Array | undefined, depth: number, colourType: number): boolean {
  if (palette === undefined || colourType !== paletteType)
    return palette === undefined && colourType !== paletteType;
  return palette.length > 0 && palette.length % 3 === 0 && palette.length <= 3 * 2 ** depth;
}

/** Either an alpha for entries of the palette, or one colour: two bytes per channel, of values that it can have. */
function isTransparencyRight(
  transparency: Uint8Array | undefined,
  palette: Uint8Array | undefined,
  depth: number,
  colourType: number,
): boolean {
  if (transparency === undefined) return true;
  if (palette !== undefined) return transparency.length <= palette.length / 3;
  const isInRange = transparency.every((byte, at) => byte < (at % 2 === 0 ? 1 : 2 ** depth));
  return isInRange && transparency.length === keyBytes[colourType];
}
