import { expect, test } from "bun:test";
import { progressText } from "../../commands/cache/progress.ts";
import { spanText, table } from "../../commands/cache/texts.ts";

test("a download shows how far it is, its rate and the time left", () => {
  const gib = 1024 ** 3;
  expect(progressText("a.iso", { receivedBytes: gib, totalBytes: 4 * gib }, gib / 10)).toBe(
    "a.iso [######                  ] 25 %, 1.0 GiB of 4.0 GiB, 102 MiB/s, 30 s left",
  );
});

test("a download of unknown size, or that gets nothing, promises no end", () => {
  expect(progressText("a", { receivedBytes: 2048, totalBytes: undefined }, 1024)).toBe(
    "a 2.0 KiB, 1.0 KiB/s",
  );
  expect(progressText("a", { receivedBytes: 0, totalBytes: 10 }, 0)).not.toContain("left");
});

test.each([
  [0, "0 s"],
  [59.4, "59 s"],
  [60, "1 min"],
  [7199, "1 h"],
  [200_000, "2 d"],
])("%d seconds are %s", (seconds, text) => expect(spanText(seconds)).toBe(text));

test("columns of a table are as wide as they need to be", () => {
  expect(
    table(
      ["A", "LONG"],
      [
        ["wide cell", "x"],
        ["y", ""],
      ],
    ),
  ).toBe("A          LONG\nwide cell  x\ny");
});
