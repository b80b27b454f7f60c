import { expect, test } from "bun:test";
import { byteText } from "../../src/ops/byte-text.ts";

test.each([
  [0, "0 Byte"],
  [1023, "1023 Byte"],
  [1024, "1.0 KiB"],
  [1024 ** 2 * 9.96, "10.0 MiB"],
  [1024 ** 2 * 200, "200 MiB"],
  [4.7 * 1024 ** 3, "4.7 GiB"],
  [3000 * 1024 ** 4, "3000 TiB"],
])("%d bytes are %s", (bytes, text) => expect(byteText(bytes)).toBe(text));
