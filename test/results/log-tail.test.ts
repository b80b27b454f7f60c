import { expect, test } from "bun:test";
import { appendFile, truncate, unlink } from "node:fs/promises";
import { type LogLook, LogTail } from "../../src/results/log-tail.ts";
import { TemporaryPool } from "./temporary-pool.ts";

/** What happens, what a look finds then, and whether it gets lost on the way to the server. */
type Step = readonly [
  what: (pool: TemporaryPool) => Promise<unknown>,
  expected: LogLook["piece"],
  isLost?: "lost",
];

const nothing = async () => {};
const append = (text: string) => (pool: TemporaryPool) => appendFile(pool.path("log"), text);
const replace = (text: string) => (pool: TemporaryPool) => pool.write({ log: text });
const cut = (bytes: number) => (pool: TemporaryPool) => truncate(pool.path("log"), bytes);
const remove = (pool: TemporaryPool) => unlink(pool.path("log"));
const piece = (offset: number, data: string) => ({ offset, data });

test.each<[string, Step[]]>([
  ["a file that is not there", [[nothing, {}]]],
  ["an empty file", [[append(""), piece(0, "")]]],
  [
    "a growing file",
    [
      [append("one\n"), piece(0, "one\n")],
      [append("two\n"), piece(4, "two\n")],
      [nothing, piece(8, "")],
      [append("three"), piece(8, "three")],
    ],
  ],
  [
    "what the server has not got comes again, with what has been added",
    [
      [append("one"), piece(0, "one"), "lost"],
      [append("two"), piece(0, "onetwo"), "lost"],
      [nothing, piece(0, "onetwo")],
      [nothing, piece(6, "")],
    ],
  ],
  [
    "a truncated file comes from the start",
    [
      [append("long text"), piece(0, "long text")],
      [cut(4), piece(0, "long")],
      [append("er"), piece(4, "er")],
    ],
  ],
  [
    "a replaced file comes from the start, also when it is longer",
    [
      [append("old"), piece(0, "old")],
      [replace("new and longer"), piece(0, "new and longer")],
    ],
  ],
  [
    "a file that went away and came back comes from the start",
    [
      [append("old"), piece(0, "old")],
      [remove, {}],
      [append("newer"), piece(0, "newer")],
    ],
  ],
])("%s", async (_, steps) => {
  await using pool = await TemporaryPool.make();
  const tail = new LogTail(pool.directory, "log");
  for (const [what, expected, isLost] of steps) {
    await what(pool);
    const { piece, taken } = await tail.look();
    expect(piece).toEqual(expected);
    if (!isLost) taken();
  }
});

test("each byte becomes one character, whatever text it is a part of", async () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
  await using pool = await TemporaryPool.make({ log: bytes });
  const { piece } = await new LogTail(pool.directory, "log").look();
  expect(piece).toEqual({ offset: 0, data: String.fromCharCode(...bytes) });
  const sent = JSON.parse(JSON.stringify(piece)) as { data: string };
  expect([...Buffer.from(sent.data, "latin1")]).toEqual([...bytes]);
});

test("a long log comes in pieces of 100000 bytes, which may end within a character", async () => {
  const text = `${"x".repeat(99_999)}é${"y".repeat(150_000)}`;
  await using pool = await TemporaryPool.make({ log: text });
  const tail = new LogTail(pool.directory, "log");
  const pieces: { readonly offset?: number; readonly data?: string }[] = [];
  for (let at = 0; at < 4; at++) {
    const { piece, taken } = await tail.look();
    pieces.push(piece);
    taken();
  }
  expect(pieces.map(({ offset }) => offset)).toEqual([0, 100_000, 200_000, 250_001]);
  const bytes = Buffer.from(pieces.map(({ data }) => data).join(""), "latin1");
  expect(bytes.toString() === text).toBe(true);
});
