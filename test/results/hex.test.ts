import { expect, test } from "bun:test";
import { writeHex } from "../../src/results/hex.ts";

test.each([0, 1, 2, 3, 255, 65_536, 131_073])(
  "%d bytes become the hex text that Node.js makes of them",
  (length) => {
    const bytes = Uint8Array.from({ length }, (_, at) => (at * 7 + (at >> 8)) % 256);
    const hex = new Uint8Array(2 * length + 4).fill(0x2d);
    writeHex(bytes, hex);
    expect(Buffer.from(hex).toString()).toBe(`${Buffer.from(bytes).toString("hex")}----`);
  },
);

test("every pair of bytes has its four characters", () => {
  const bytes = new Uint8Array(Uint16Array.from({ length: 0x10000 }, (_, pair) => pair).buffer);
  const hex = new Uint8Array(2 * bytes.length);
  writeHex(bytes, hex);
  expect(Buffer.from(hex).equals(Buffer.from(Buffer.from(bytes).toString("hex")))).toBe(true);
});

test("a part of a larger memory is written alone", () => {
  const memory = Uint8Array.from([1, 2, 3, 4, 0xab, 0xcd, 0xef, 8]);
  const hex = new Uint8Array(12);
  writeHex(memory.subarray(4, 7), hex.subarray(4, 10));
  expect(Buffer.from(hex).toString("latin1")).toBe("\0\0\0\0abcdef\0\0");
});
