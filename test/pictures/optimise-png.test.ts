import { expect, test } from "bun:test";
import { deflateSync, gzipSync } from "node:zlib";
import { optimisePng } from "../../src/pictures/optimise-png.ts";
import { maxPictureBytes, maxPicturePixels } from "../../src/pictures/plain-png.ts";
import { decodePng } from "../support/decode-png.ts";
import {
  type Chunk,
  chunksOf,
  type Dice,
  diceOf,
  ihdr,
  makePng,
  type PngKind,
  pngFile,
} from "../support/make-png.ts";

const rgb: PngKind = { width: 20, height: 10, colourType: 2, depth: 8 };

/** Smaller with the same pixels by the other decoder, or kept: nothing else is ever right. */
async function outcomeOf(file: Buffer): Promise<"smaller" | "kept"> {
  const before = Buffer.from(file);
  const optimised = await optimisePng(file);
  expect(file).toEqual(before);
  if (optimised.outcome === "kept") {
    expect(optimised.why).not.toBe("");
    expect(optimised.why).not.toContain("bug");
    return "kept";
  }
  expect(optimised.bytes.length).toBeLessThan(file.length);
  expect(decodePng(optimised.bytes)).toEqual(decodePng(file));
  return "smaller";
}

async function whyKept(file: Buffer): Promise<string> {
  const optimised = await optimisePng(file);
  return optimised.outcome === "kept" ? optimised.why : "it was made smaller";
}

const depths = { 0: [1, 2, 4, 8], 2: [8], 3: [1, 2, 4, 8], 4: [8], 6: [8] } as const;
const plainKinds = Object.entries(depths).flatMap(([colourType, all]) =>
  all.flatMap((depth) =>
    [false, true].flatMap((isInterlaced) =>
      (Number(colourType) < 4 ? [false, true] : [false]).map((hasTransparency) => ({
        colourType: Number(colourType) as PngKind["colourType"],
        depth,
        isInterlaced,
        hasTransparency,
      })),
    ),
  ),
);

test.each(plainKinds)("a picture keeps its pixels: %o", async (kind) => {
  const dice = diceOf(plainKinds.indexOf(kind));
  const outcomes: string[] = [];
  for (let round = 0; round < 12; round++)
    outcomes.push(await outcomeOf(makePng({ ...kind, width: 1 + dice(50), height: 1 + dice(30) }, dice)));
  expect(outcomes).toContain("smaller");
});

test.each([
  [1, 1],
  [1, 500],
  [500, 1],
  [3000, 2],
  [7, 9],
])("a picture of %i x %i pixels keeps them", async (width, height) => {
  for (const { colourType, depth } of plainKinds)
    await outcomeOf(makePng({ width, height, colourType, depth }, diceOf(width)));
});

/** RGBA of the pixels of one row. */
function rgbaFile(pixels: readonly (readonly [number, number, number, number])[]): Buffer {
  const kind: PngKind = { width: pixels.length, height: 1, colourType: 6, depth: 8 };
  const rows = Buffer.from([0, ...pixels.flat()]);
  return pngFile([
    ["IHDR", ihdr(kind)],
    ["IDAT", deflateSync(rows, { level: 0 })],
    ["IEND", Buffer.alloc(0)],
  ]);
}

function paletteSize(file: Uint8Array): number | undefined {
  const at = Buffer.from(file).indexOf("PLTE");
  return at === -1 ? undefined : Buffer.from(file).readUInt32BE(at - 4) / 3;
}

test.each([
  [2, 2],
  [3, 3],
  [16, 16],
  [17, 17],
  [256, 256],
  [257, undefined],
])("%i colours: a palette of %p", async (colours, size) => {
  const pixels = Array.from({ length: 2000 }, (_, at) => {
    const colour = at % colours;
    return [colour & 0xff, colour >> 8, 7, 255] as const;
  });
  const optimised = await optimisePng(rgbaFile(pixels));
  if (optimised.outcome === "kept") throw new Error(optimised.why);
  expect(paletteSize(optimised.bytes)).toBe(size);
  expect(await outcomeOf(rgbaFile(pixels))).toBe("smaller");
});

test("invisible pixels keep their colours, few or many of them", async () => {
  for (const colours of [3, 1000]) {
    const pixels = Array.from(
      { length: 4000 },
      (_, at) => [(at % colours) & 0xff, (at % colours) >> 8, 9, 0] as const,
    );
    expect(await outcomeOf(rgbaFile(pixels))).toBe("smaller");
  }
});

test("many grays need no palette", async () => {
  const pixels = Array.from({ length: 2000 }, (_, at) => [at % 99, at % 99, at % 99, 255] as const);
  const optimised = await optimisePng(rgbaFile(pixels));
  if (optimised.outcome === "kept") throw new Error(optimised.why);
  expect(paletteSize(optimised.bytes)).toBeUndefined();
  expect(await outcomeOf(rgbaFile(pixels))).toBe("smaller");
});

type ColourAt = (x: number, y: number) => readonly [number, number, number, number];
const photograph: ColourAt = (x, y) => [(x * y) >> 6, (x * x) >> 7, (y * y + x) >> 7, 255];
/** Of a few patterns that come again and again. */
const drawing: ColourAt = (x, y) => {
  const pattern = diceOf((x >> 3) + 40 * (y >> 3))(20);
  const dice = diceOf(64 * pattern + 8 * (y & 7) + (x & 7));
  return [dice(256), dice(256), dice(256), 255];
};

// With the rows of the other, the photograph comes to 0.74, the drawing to 0.09.
test.each([
  ["photograph", photograph, 0.04],
  ["drawing", drawing, 0.08],
])("a %s of many colours gets the rows that suit it", async (_, colourAt, ratio) => {
  const [width, height] = [320, 240];
  const rows = Array.from({ length: height }, (_, y) =>
    Buffer.from([0, ...Array.from({ length: width }, (_, x) => colourAt(x, y)).flat()]),
  );
  const compressed = deflateSync(Buffer.concat(rows), { level: 0 });
  const file = pngFile([
    ["IHDR", ihdr({ width, height, colourType: 6, depth: 8 })],
    ["IDAT", compressed],
    end,
  ]);
  const optimised = await optimisePng(file);
  if (optimised.outcome === "kept") throw new Error(optimised.why);
  expect(optimised.bytes.length).toBeLessThan(ratio * file.length);
  expect(decodePng(optimised.bytes)).toEqual(decodePng(file));
});

test("a picture that is as small as it gets is kept", async () => {
  const once = await optimisePng(makePng({ ...rgb, width: 200, texture: "noise" }, diceOf(1)));
  if (once.outcome === "kept") throw new Error(once.why);
  expect(await whyKept(Buffer.from(once.bytes))).toBe("it does not get smaller");
});

test("what says nothing about how a picture looks goes along", async () => {
  const notes: Chunk[] = [
    ["tEXt", Buffer.from("Comment\0needle")],
    ["pHYs", Buffer.from([0, 0, 11, 19, 0, 0, 11, 19, 1])],
    ["tIME", Buffer.from([7, 234, 1, 1, 0, 0, 0])],
  ];
  const file = makePng({ ...rgb, width: 200, texture: "flat", extraChunks: notes }, diceOf(1));
  const optimised = await optimisePng(file);
  if (optimised.outcome === "kept") throw new Error(optimised.why);
  for (const [type, content] of notes)
    expect(Buffer.from(optimised.bytes).includes(Buffer.concat([Buffer.from(type), content]))).toBe(true);
  expect(await outcomeOf(file)).toBe("smaller");
});

const telling: Readonly<Record<string, Uint8Array>> = {
  gAMA: Buffer.from([0, 0, 0xb1, 0x8f]),
  sRGB: Buffer.from([0]),
  iCCP: Buffer.concat([Buffer.from("profile\0\0"), deflateSync(Buffer.alloc(200))]),
  cHRM: Buffer.alloc(32, 1),
  cICP: Buffer.from([1, 13, 0, 1]),
  sBIT: Buffer.from([5, 6, 5]),
  eXIf: Buffer.from("MM\0*\0\0\0\x08\0\0"),
  acTL: Buffer.from([0, 0, 0, 2, 0, 0, 0, 0]),
  bKGD: Buffer.alloc(6),
  zTXt: Buffer.from("a\0\0b"),
  PLTE: Buffer.alloc(6),
  xyzw: Buffer.alloc(3),
};
test.each(Object.entries(telling))("a picture with a chunk %s is left alone", async (type, content) => {
  const file = makePng({ ...rgb, width: 200, texture: "flat", extraChunks: [[type, content]] }, diceOf(2));
  expect(await whyKept(file)).toMatch(new RegExp(`it has a chunk "${type}"|its palette`));
});

test.each([0, 2, 4, 6] as const)(
  "16 bits per channel are left alone (colour type %i)",
  async (colourType) => {
    const file = makePng({ width: 9, height: 9, colourType, depth: 16 }, diceOf(3));
    expect(await whyKept(file)).toBe(`it has 16 bits per channel with colour type ${colourType}`);
  },
);

test("a picture that is cut off is kept, wherever that is", async () => {
  const file = makePng({ ...rgb, hasTransparency: true, texture: "flat" }, diceOf(4));
  for (let length = 0; length < file.length; length++)
    expect(await whyKept(file.subarray(0, length))).toMatch(/^it (is no PNG|is cut off|has no end)$/);
});

test("a picture in which a bit has flipped is kept, whichever it is", async () => {
  const file = makePng({ ...rgb, width: 8, height: 3, texture: "few values" }, diceOf(5));
  for (let bit = 0; bit < file.length * 8; bit++) {
    const flipped = Buffer.from(file);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    expect(await outcomeOf(flipped)).toBe("kept");
  }
});

const [header, pixels, end] = chunksOf({ ...rgb, texture: "flat" }, diceOf(6)) as [Chunk, Chunk, Chunk];
const flat = (lines: number) => Buffer.alloc(61 * lines);
const idat = (content: Uint8Array): Buffer => pngFile([header, ["IDAT", content], end]);
const headed = (change: (ihdr: Buffer) => void): Buffer => {
  const content = Buffer.from(header[1]);
  change(content);
  return pngFile([["IHDR", content], pixels, end]);
};
const damaged: Readonly<Record<string, Buffer>> = {
  "nothing at all": Buffer.alloc(0),
  "a text": Buffer.from("no picture"),
  "a JPEG": Buffer.from("ffd8ffe000104a46494600010100000100010000ffd9", "hex"),
  "an SVG": Buffer.from("<svg xmlns='http://www.w3.org/2000/svg' width='5' height='5'/>"),
  "a signature alone": pngFile([]),
  "no pixels": pngFile([header, end]),
  "no header": pngFile([pixels, end]),
  "two headers": pngFile([header, header, pixels, end]),
  "a header at its end": pngFile([pixels, header, end]),
  "a note before the header": pngFile([["tEXt", Buffer.from("a\0b")], header, pixels, end]),
  "pixels in two places": pngFile([header, pixels, ["tRNS", Buffer.alloc(6)], pixels, end]),
  "something behind its end": Buffer.concat([pngFile([header, pixels, end]), Buffer.from("x")]),
  "two pictures": Buffer.concat([pngFile([header, pixels, end]), pngFile([header, pixels, end])]),
  "a short header": pngFile([["IHDR", header[1].subarray(0, 12)], pixels, end]),
  "a palette too short": pngFile([
    ["IHDR", ihdr({ ...rgb, colourType: 3 })],
    ["PLTE", Buffer.from([1, 2, 3])],
    ["IDAT", deflateSync(Buffer.alloc(21 * 10, 9))],
    end,
  ]),
  "no palette where one is needed": pngFile([["IHDR", ihdr({ ...rgb, colourType: 3 })], pixels, end]),
  "a palette of odd length": pngFile([
    ["IHDR", ihdr({ ...rgb, colourType: 3 })],
    ["PLTE", Buffer.alloc(5)],
    ["IDAT", deflateSync(Buffer.alloc(210))],
    end,
  ]),
  "more transparency than palette": pngFile([
    ["IHDR", ihdr({ ...rgb, colourType: 3 })],
    ["PLTE", Buffer.alloc(6)],
    ["tRNS", Buffer.alloc(9)],
    ["IDAT", deflateSync(Buffer.alloc(210))],
    end,
  ]),
  "no width": headed((ihdr) => ihdr.writeUInt32BE(0, 0)),
  "a width below none": headed((ihdr) => ihdr.writeUInt32BE(0xffffffff, 0)),
  "far too many pixels": headed((ihdr) => ihdr.writeUInt32BE(0x7fffffff, 4)),
  "three bits per channel": headed((ihdr) => ihdr.set([3], 8)),
  "an unknown colour type": headed((ihdr) => ihdr.set([5], 9)),
  "an unknown compression": headed((ihdr) => ihdr.set([1], 10)),
  "an unknown interlace": headed((ihdr) => ihdr.set([2], 12)),
  "a row missing": idat(deflateSync(flat(9))),
  "half a row missing": idat(deflateSync(flat(10).subarray(0, 580))),
  "no pixels in it": idat(deflateSync(Buffer.alloc(0))),
  "empty pixel data": idat(Buffer.alloc(0)),
  "pixel data that stops": idat(deflateSync(flat(10), { level: 0 }).subarray(0, 300)),
  "no checksum of its pixel data": idat(deflateSync(flat(10)).subarray(0, -4)),
  "a wrong checksum of its pixel data": idat(
    Buffer.concat([deflateSync(flat(10)).subarray(0, -4), Buffer.alloc(4, 7)]),
  ),
  "pixel data of another method": idat(gzipSync(flat(10))),
  "an unknown filter": idat(deflateSync(flat(10).fill(7))),
};
test.each(Object.entries(damaged))("a damaged picture is kept: %s", async (_, file) => {
  expect(await outcomeOf(file)).toBe("kept");
});

test.each([1, 60, 10_000])("%i bytes too many in the pixel data change nothing", async (surplus) => {
  await outcomeOf(idat(deflateSync(Buffer.concat([flat(10), Buffer.alloc(surplus, 1)]), { level: 0 })));
  await outcomeOf(idat(Buffer.concat([deflateSync(flat(10), { level: 0 }), Buffer.alloc(surplus, 1)])));
});

test("pixel data in pieces is fine, also in empty ones", async () => {
  const content = pixels[1];
  const pieces = Array.from(
    { length: content.length },
    (_, at): Chunk => ["IDAT", content.subarray(at, at + 1)],
  );
  expect(await outcomeOf(pngFile([header, ...pieces, ["IDAT", Buffer.alloc(0)], end]))).toBe("smaller");
});

test("a picture that is damaged behind right checksums is kept, unless it looks the same", async () => {
  const dice: Dice = diceOf(7);
  for (let round = 0; round < 300; round++) {
    const kind = plainKinds[dice(plainKinds.length)]!;
    const chunks = chunksOf({ ...kind, width: 1 + dice(40), height: 1 + dice(20) }, dice);
    const [, content] = chunks[dice(chunks.length - 1)]!;
    content[dice(content.length)]! ^= 1 << dice(8);
    await outcomeOf(pngFile(chunks));
  }
});

test.each([1, 2, 3, 4])(
  "damage that shows only at the end of the pixel data is seen: its byte -%i",
  async (fromEnd) => {
    for (const isInterlaced of [false, true])
      for (const width of [3, 30, 300]) {
        const chunks = chunksOf({ ...rgb, width, isInterlaced, texture: "few values" }, diceOf(width));
        const content = chunks[1]![1];
        content[content.length - fromEnd]! ^= 1;
        expect(await outcomeOf(pngFile(chunks))).toBe("kept");
      }
  },
);

test("pictures that are too big are not even decoded", async () => {
  const side = Math.sqrt(maxPicturePixels);
  const bomb = pngFile([["IHDR", ihdr({ ...rgb, width: side, height: side + 1 })], pixels, end]);
  expect(await whyKept(bomb)).toContain("pixels, more than");
  expect(await whyKept(Buffer.alloc(maxPictureBytes + 1))).toContain("bytes, more than");
});
