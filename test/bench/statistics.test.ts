import { describe, expect, test } from "bun:test";
import type { Measurement } from "./bench-part.ts";
import { mainRatio, median, ratios } from "./statistics.ts";

describe("the median", () => {
  test.each([
    [[3], 3],
    [[9, 1, 2], 2],
    [[4, 1, 100, 2], 3],
    [[10, 9, 8, 100, 7], 9],
  ])("of %p is %p", (samples, expected) => {
    expect(median(samples)).toBe(expected);
  });

  test("of nothing is no number", () => {
    expect(median([])).toBeNaN();
  });

  test("leaves the samples in their order", () => {
    const samples = [3, 1, 2];
    median(samples);
    expect(samples).toEqual([3, 1, 2]);
  });
});

describe("ratios", () => {
  const measurement = (sides: Measurement["sides"], aim?: Measurement["aim"]): Measurement => ({
    name: "x",
    unit: "ms",
    sides,
    ...(aim && { aim }),
  });

  test("are ours by each other side, of medians", () => {
    const sides = { stock: [100, 200, 900], optipng: [50], ours: [20, 5, 10] };
    expect(ratios(measurement(sides)).map(({ side, value }) => [side, value])).toEqual([
      ["stock", 0.05],
      ["optipng", 0.2],
    ]);
  });

  test("have the aim at the side that it is about, met up to its very value", () => {
    const sides = { stock: [100], optipng: [40], ours: [10] };
    const found = ratios(measurement(sides, { ratio: 0.25, to: "optipng" }));
    expect(found.map(({ aim }) => aim)).toEqual([undefined, { ratio: 0.25, isMet: true }]);
  });

  test("miss an aim that they are above", () => {
    const found = ratios(measurement({ stock: [100], ours: [26] }, { ratio: 0.25, to: "stock" }));
    expect(found[0]?.aim?.isMet).toBeFalse();
  });

  test("are none where we were not measured", () => {
    expect(ratios(measurement({ stock: [1], optipng: [2] }))).toEqual([]);
  });

  test("have the one with the aim as the main one, else the first", () => {
    const sides = { stock: [100], optipng: [40], ours: [10] };
    expect(mainRatio(measurement(sides))?.side).toBe("stock");
    expect(mainRatio(measurement(sides, { ratio: 0.1, to: "optipng" }))?.side).toBe("optipng");
    expect(mainRatio(measurement({ ours: [1] }))).toBeUndefined();
  });
});
