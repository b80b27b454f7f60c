// Makes a PNG smaller and proves that no pixel has changed: what was encoded here is decoded again by libvips, which had
// no part in it, and compared. Whatever is unusual, damaged or not proven stays as it is.
import { promisify } from "node:util";
import { inflate } from "node:zlib";
import sharp from "sharp";
import { errorText } from "../errors.ts";
import { encodePng } from "./encode-png.ts";
import type { Pixels } from "./pixels.ts";
import { maxPicturePixels, type PlainPng, plainPng } from "./plain-png.ts";

export type OptimisedPng =
  | { readonly outcome: "smaller"; readonly bytes: Uint8Array }
  | { readonly outcome: "kept"; readonly why: string };

const inflated = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflate);

// Jobs control what comes here: no other of the many decoders can be reached.
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({ operation: ["VipsForeignLoadPngBuffer"] });
// Several pictures at a time keep all CPUs busy; nothing is decoded twice.
sharp.concurrency(1);
sharp.cache(false);

/** A smaller PNG of exactly the same pixels, or why there is none. Never throws. */
export async function optimisePng(original: Uint8Array): Promise<OptimisedPng> {
  const png = plainPng(original);
  if ("fault" in png) return { outcome: "kept", why: png.fault };
  try {
    return await smallerOrKept(original, png);
  } catch (error) {
    return { outcome: "kept", why: errorText(error) };
  }
}

async function smallerOrKept(original: Uint8Array, png: PlainPng): Promise<OptimisedPng> {
  await checkCompressed(png);
  const pixels = await decode(original, png);
  const bytes = await encodePng(pixels, png.notes);
  if (bytes.length >= original.length) return { outcome: "kept", why: "it does not get smaller" };
  const after = await decode(bytes, png);
  if (Buffer.compare(pixels.bytes, after.bytes) !== 0)
    return { outcome: "kept", why: "its pixels changed: this is a bug of the encoder" };
  return { outcome: "smaller", bytes };
}

/** Throws when it is damaged: libpng stops at the last pixel that it needs, and does not see what its end would tell. */
async function checkCompressed({ width, height, compressed }: PlainPng): Promise<void> {
  // Up to four bytes a pixel, and one more per row.
  const maxOutputLength = 5 * width * height + 64;
  await inflated(Buffer.concat(compressed), { maxOutputLength });
}

/** Throws unless each pixel is there. */
async function decode(file: Uint8Array, { width, height, hasTransparency }: PlainPng): Promise<Pixels> {
  const picture = sharp(file, { failOn: "warning", limitInputPixels: maxPicturePixels });
  const colours = picture.toColourspace("srgb");
  const { data, info } = await (hasTransparency ? colours.ensureAlpha() : colours.removeAlpha())
    .raw()
    .toBuffer({ resolveWithObject: true });
  const channels = hasTransparency ? 4 : 3;
  if (info.width !== width || info.height !== height || data.length !== width * height * channels)
    throw new Error(`it was decoded to ${info.width}x${info.height} pixels of ${info.channels} channels`);
  return { width, height, channels, bytes: data };
}
