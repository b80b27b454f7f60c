// Pictures of many colours: rows of pixels as PNG has them, as they are, or each by the filter after which it is likely
// to compress best.
import type { Pixels } from "./pixels.ts";

/** One row less what its neighbours foretell; `above` is the row before it, zeros for the first. */
type Filter = (row: Uint8Array, above: Uint8Array, channels: number, out: Uint8Array) => void;

// PNG's third, the average, wins next to no rows of screenshots, and costs as much as any.
const filters: ReadonlyMap<number, Filter> = new Map([
  [0, none],
  [1, left],
  [2, up],
  [4, paeth],
]);

/** Best for drawn screens: what is repeated stays the same. */
export function plainRows(pixels: Pixels): Uint8Array<ArrayBuffer> {
  return eachRow(pixels, (row, _, out) => out.set(row, 1));
}

/** Best for photographs and gradients. */
export function filteredRows(pixels: Pixels): Uint8Array<ArrayBuffer> {
  const tries = [...filters].map(([type, filter]) => ({
    filter,
    out: new Uint8Array(pixels.width * pixels.channels + 1).fill(type, 0, 1),
  }));
  const variety = new PairCounter();
  return eachRow(pixels, (row, above, out) => {
    let fewest = Number.POSITIVE_INFINITY;
    for (const { filter, out: tried } of tries) {
      filter(row, above, pixels.channels, tried.subarray(1));
      const pairs = variety.of(tried);
      if (pairs >= fewest) continue;
      fewest = pairs;
      out.set(tried);
    }
  });
}

function eachRow(
  { width, height, channels, bytes }: Pixels,
  write: (row: Uint8Array, above: Uint8Array, out: Uint8Array) => void,
): Uint8Array<ArrayBuffer> {
  const rowBytes = width * channels;
  const rows = new Uint8Array((rowBytes + 1) * height);
  let above: Uint8Array = new Uint8Array(rowBytes);
  for (let y = 0; y < height; y++) {
    const row = bytes.subarray(y * rowBytes, (y + 1) * rowBytes);
    write(row, above, rows.subarray(y * (rowBytes + 1), (y + 1) * (rowBytes + 1)));
    above = row;
  }
  return rows;
}

/** Counts different pairs of neighbouring bytes: the fewer, the better a row compresses. */
class PairCounter {
  private readonly seenIn = new Uint32Array(0x1_0000);
  private rows = 0;

  of(row: Uint8Array): number {
    this.rows++;
    const { seenIn, rows } = this;
    let count = 0;
    let before = row[0] ?? 0;
    for (let at = 1; at < row.length; at++) {
      const byte = row[at] ?? 0;
      const pair = (before << 8) | byte;
      before = byte;
      if (seenIn[pair] === rows) continue;
      seenIn[pair] = rows;
      count++;
    }
    return count;
  }
}

function none(row: Uint8Array, _above: Uint8Array, _channels: number, out: Uint8Array): void {
  out.set(row);
}

function left(row: Uint8Array, _above: Uint8Array, channels: number, out: Uint8Array): void {
  out.set(row.subarray(0, channels));
  for (let at = channels; at < row.length; at++) out[at] = (row[at] ?? 0) - (row[at - channels] ?? 0);
}

function up(row: Uint8Array, above: Uint8Array, _channels: number, out: Uint8Array): void {
  for (let at = 0; at < row.length; at++) out[at] = (row[at] ?? 0) - (above[at] ?? 0);
}

function paeth(row: Uint8Array, above: Uint8Array, channels: number, out: Uint8Array): void {
  for (let at = 0; at < channels; at++) out[at] = (row[at] ?? 0) - (above[at] ?? 0);
  for (let at = channels; at < row.length; at++) {
    const a = row[at - channels] ?? 0;
    const b = above[at] ?? 0;
    const c = above[at - channels] ?? 0;
    const toLeft = Math.abs(b - c);
    const toAbove = Math.abs(a - c);
    const toCorner = Math.abs(a + b - c - c);
    const nearest = toLeft <= toAbove && toLeft <= toCorner ? a : toAbove <= toCorner ? b : c;
    out[at] = (row[at] ?? 0) - nearest;
  }
}
