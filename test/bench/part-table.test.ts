import { expect, test } from "bun:test";
import { partTable } from "./part-table.ts";

test("a table has a row for each side, with ours last, and the aim beside the side that it is about", () => {
  const lines = partTable([
    {
      name: "sum",
      unit: "ms",
      sides: { stock: [150, 140.4, 160], ours: [75.25, 70, 80] },
      aim: { ratio: 0.5, to: "stock" },
      remark: "without the server",
    },
    {
      name: "bytes",
      unit: "ratio",
      sides: { ours: [0.9], stock: [1], optipng: [0.95] },
      aim: { ratio: 0.9, to: "optipng" },
    },
  ]);
  expect(lines).toEqual([
    "                   n   min  median  ours/it",
    "sum (ms)  stock    3   140     150     0.50  ≤ 0.50 missed",
    "          ours     3    70    75.3",
    "bytes     stock    1     1       1     0.90",
    "          optipng  1  0.95    0.95     0.95  ≤ 0.90 missed",
    "          ours     1  0.90    0.90",
    "sum: without the server",
  ]);
});

test("an aim that is met is ticked off, small ratios keep three decimals", () => {
  const [, stock] = partTable([
    { name: "wait", unit: "ms", sides: { stock: [15_000], ours: [180] }, aim: { ratio: 0.05, to: "stock" } },
  ]);
  expect(stock).toEndWith("0.012  ≤ 0.050 ✓");
});

test("what is compared with nothing has neither ratio nor aim", () => {
  expect(partTable([{ name: "lag", unit: "ms", sides: { ours: [3, 4] } }])).toEqual([
    "                n  min  median  ours/it",
    "lag (ms)  ours  2    3    3.50",
  ]);
});
