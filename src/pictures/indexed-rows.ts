// Pictures of few colours, as text on a screen is: each pixel is a number in a palette of exactly these.
import type { Pixels } from "./pixels.ts";

export interface IndexedPicture {
  /** 0xAABBGGRR each, in order of first use. */
  readonly palette: readonly number[];
  /** One byte per pixel. */
  readonly indexes: Uint8Array;
}

/** What a palette can hold. */
const maxColours = 256;

/** Undefined when there are too many colours; that is found out early. */
export function indexedPicture({ bytes, channels }: Pixels): IndexedPicture | undefined {
  const numbers = new Map<number, number>();
  const indexes = new Uint8Array(bytes.length / channels);
  let lastColour: number | undefined;
  let index = 0;
  for (let at = 0, pixel = 0; at < bytes.length; at += channels, pixel++) {
    const colour = colourAt(bytes, at, channels);
    if (colour !== lastColour) {
      const known = numbers.get(colour);
      index = known ?? numbers.size;
      if (index === maxColours) return undefined;
      if (known === undefined) numbers.set(colour, index);
      lastColour = colour;
    }
    indexes[pixel] = index;
  }
  return { palette: [...numbers.keys()], indexes };
}

function colourAt(bytes: Uint8Array, at: number, channels: 3 | 4): number {
  const alpha = channels === 4 ? (bytes[at + 3] ?? 0) : 0xff;
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | (alpha << 24);
}

/** Bits for a pixel: the fewest that PNG has for so many colours. */
export function bitsPerPixel(colours: number): 1 | 2 | 4 | 8 {
  if (colours <= 2) return 1;
  if (colours <= 4) return 2;
  return colours <= 16 ? 4 : 8;
}

/** Rows as PNG has them, not filtered: repetitions of numbers compress best as they are. */
export function packedRows(indexes: Uint8Array, width: number, bits: 1 | 2 | 4 | 8): Uint8Array {
  const rowBytes = 1 + Math.ceil((width * bits) / 8);
  const height = indexes.length / width;
  const rows = new Uint8Array(rowBytes * height);
  for (let y = 0, pixel = 0; y < height; y++) {
    const start = y * rowBytes + 1;
    for (let bit = 0; bit < width * bits; bit += bits) {
      const at = start + (bit >> 3);
      rows[at] = (rows[at] ?? 0) | ((indexes[pixel++] ?? 0) << (8 - bits - (bit & 7)));
    }
  }
  return rows;
}
