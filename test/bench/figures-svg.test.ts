import { describe, expect, test } from "bun:test";
import type { Figures, Measured } from "./figures-json.ts";
import { colours, figuresSvg } from "./figures-svg.ts";

function figuresOf(...measurements: Measured[]): Figures {
  const machine = { cpu: "x", cores: 2, memoryMb: 1, kernel: "6" };
  const about = { title: "A <part>", date: "2026-01-01T00:00:00.000Z", seconds: 1, loadAverage: 0 };
  return { parts: { one: { ...about, machine, versions: {}, measurements } } };
}

const compared = (ratio: number, aim?: number): Measured => ({
  name: `ratio ${ratio}`,
  unit: "ms",
  sides: { stock: [100], ours: [100 * ratio] },
  ...(aim !== undefined && { aim: { ratio: aim, to: "stock" } }),
});

/** The attributes of the bars, in order. */
function bars(svg: string): { x: number; width: number; fill: string }[] {
  return [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="\d+" fill="(#\w+)"/g)].map(
    ([, x, width, fill = ""]) => ({ x: Number(x), width: Number(width), fill }),
  );
}

/** Where the line of a ratio of 1 is. */
function stockLine(svg: string): number {
  return Number(/<text x="([\d.]+)"[^>]*>1<\/text>/.exec(svg)?.[1]);
}

describe("the chart of ratios", () => {
  test("has bars that begin at the line of 1, on a logarithmic scale", () => {
    const svg = figuresSvg(figuresOf(compared(0.1), compared(0.01), compared(10)));
    const [tenth, hundredth, tenfold] = bars(svg);
    const line = stockLine(svg);
    expect((tenth?.x ?? 0) + (tenth?.width ?? 0)).toBeCloseTo(line, 0);
    expect(hundredth?.width).toBeCloseTo(2 * (tenth?.width ?? 0), 0);
    expect(tenfold?.x).toBeCloseTo(line, 0);
    expect(tenfold?.width).toBeCloseTo(tenth?.width ?? 0, 0);
  });

  test("shows what is above stock, or above its aim, in another colour", () => {
    const svg = figuresSvg(figuresOf(compared(0.2, 0.25), compared(0.3, 0.25), compared(1.2), compared(0.9)));
    expect(bars(svg).map(({ fill }) => fill)).toEqual([
      colours.good,
      colours.worse,
      colours.worse,
      colours.good,
    ]);
  });

  test("has each value as text, and a mark for each aim", () => {
    const svg = figuresSvg(figuresOf(compared(0.2, 0.25), compared(0.5)));
    expect(svg).toMatch(/>0\.20<.*>≤ 0\.25 ✓</);
    expect(svg).toContain(">0.50<");
    expect(svg.split(colours.aim)).toHaveLength(2);
  });

  test("says what is compared when that is not the stock worker", () => {
    const svg = figuresSvg(figuresOf({ name: "CPU", unit: "s", sides: { optipng: [4], ours: [1] } }));
    expect(svg).toContain(">CPU (to optipng)<");
  });

  test("has room for long names", () => {
    const name = "bytes after / before, desktop (given, 24)";
    const svg = figuresSvg(figuresOf({ name, unit: "ratio", sides: { optipng: [4], ours: [1] } }));
    const [, end, label = ""] =
      /<text x="(\d+)" y="\d+" text-anchor="end">([^<]+ \(to optipng\))</.exec(svg) ?? [];
    // Of a letter of this size.
    expect(label.length * 6.2).toBeLessThan(Number(end));
  });

  test("leaves out what is compared with nothing, and parts that have nothing else", () => {
    const svg = figuresSvg(figuresOf({ name: "lag", unit: "ms", sides: { ours: [1] } }));
    expect(svg).not.toContain("lag");
    expect(svg).not.toContain("part");
    expect(svg).not.toContain("NaN");
  });

  test("is well-formed whatever the names are, and loads nothing", () => {
    const svg = figuresSvg(figuresOf({ name: 'a<b & "c"', unit: "s", sides: { stock: [4], ours: [1] } }));
    expect(svg).toContain("A &#60;part&#62;");
    expect(svg).toContain("a&#60;b &#38; &#34;c&#34;");
    expect(svg).not.toMatch(/href|url\(|@import|<script/);
  });

  test.each(["#ffffff", "#0d1117"])("has colours that can be read on %s", (background) => {
    for (const colour of Object.values(colours))
      expect(contrast(colour, background)).toBeGreaterThanOrEqual(colour === colours.text ? 4 : 3);
  });
});

/** As WCAG defines it. */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
