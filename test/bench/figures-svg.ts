// A bar chart of what this worker needs compared with others, from the figures alone. Readable on dark and on light: all
// colours are of middling brightness, and there is no background.
import type { Measurement } from "./bench-part.ts";
import type { Figures } from "./figures-json.ts";
import { aimText, ratioText } from "./part-table.ts";
import { mainRatio, type Ratio } from "./statistics.ts";

export const colours = { text: "#6e7781", good: "#2f7fd8", worse: "#c4662a", aim: "#8250df" };

const width = 900;
const left = 370;
const right = 680;
const rowHeight = 22;
const barHeight = 12;
const top = 58;
/** Baseline of a text below the top of its row. */
const baseline = 15;

interface Row {
  readonly y: number;
  readonly label: string;
  /** None in the headings of parts. */
  readonly ratio: Ratio | undefined;
}

export function figuresSvg(figures: Figures): string {
  const rows = rowsOf(figures);
  const scale = scaleFor(rows.flatMap(({ ratio }) => (ratio === undefined ? [] : [ratio])));
  const bottom = top + rows.length * rowHeight;
  const label = "What this worker needs, divided by what the stock worker needs";
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 34}" width="${width}" height="${bottom + 34}" role="img" aria-label="${label}" font-family="system-ui, sans-serif" font-size="12" fill="${colours.text}">
<title>${label}</title>
<text x="10" y="20" font-size="15" font-weight="600">${label}</text>
<text x="10" y="38">Medians; less is better; 1 is the stock worker, or what is named; logarithmic. The mark on a line is the aim.</text>
${scale.ticks.map((tick) => grid(tick, scale.x(tick), bottom)).join("\n")}
${rows.map((row) => rowSvg(row, scale)).join("\n")}
</svg>
`;
}

/** A heading for each part, and a row for each measurement that compares us with something. */
function rowsOf({ parts }: Figures): Row[] {
  const rows: Omit<Row, "y">[] = Object.values(parts).flatMap(({ title, measurements }) => {
    const compared = measurements.flatMap((one: Measurement) => {
      const ratio = mainRatio(one);
      return ratio === undefined || !(ratio.value > 0) ? [] : [{ label: labelOf(one.name, ratio), ratio }];
    });
    return compared.length === 0 ? [] : [{ label: title, ratio: undefined }, ...compared];
  });
  return rows.map((row, index) => ({ ...row, y: top + index * rowHeight }));
}

function labelOf(name: string, { side }: Ratio): string {
  return side === "stock" ? name : `${name} (to ${side})`;
}

interface Scale {
  readonly x: (ratio: number) => number;
  readonly ticks: readonly number[];
}

/** Whole powers of ten around all ratios and aims. */
function scaleFor(all: readonly Ratio[]): Scale {
  const logs = all.flatMap(({ value, aim }) => [value, aim?.ratio ?? value]).map(Math.log10);
  const first = Math.min(-1, Math.floor(Math.min(...logs)));
  const last = Math.max(0, Math.ceil(Math.max(...logs)));
  const perDecade = (right - left) / Math.max(1, last - first);
  return {
    x: (ratio) => round(left + (Math.log10(ratio) - first) * perDecade),
    ticks: Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index)),
  };
}

function grid(tick: number, x: number, bottom: number): string {
  const text = String(Number(tick.toPrecision(1)));
  return `<line x1="${x}" y1="${top - 6}" x2="${x}" y2="${bottom}" stroke="${colours.text}" stroke-opacity="${tick === 1 ? 1 : 0.3}"/><text x="${x}" y="${bottom + 16}" text-anchor="middle">${text}</text>`;
}

/** The bar begins at 1: the longer it is to the left, the better. */
function rowSvg({ y, label, ratio }: Row, { x }: Scale): string {
  if (ratio === undefined)
    return `<text x="10" y="${y + baseline}" font-weight="600">${escapeXml(label)}</text>`;
  const [from, to] = [Math.min(x(1), x(ratio.value)), Math.max(x(1), x(ratio.value))];
  const barTop = y + (rowHeight - barHeight) / 2;
  const colour = ratio.value > 1 || ratio.aim?.isMet === false ? colours.worse : colours.good;
  const parts = [
    `<text x="${left - 10}" y="${y + baseline}" text-anchor="end">${escapeXml(label)}</text>`,
    `<rect x="${from}" y="${barTop}" width="${round(to - from)}" height="${barHeight}" fill="${colour}"/>`,
    `<text x="${right + 44}" y="${y + baseline}" text-anchor="end">${ratioText(ratio.value)}</text>`,
    `<text x="${right + 56}" y="${y + baseline}">${aimText(ratio)}</text>`,
  ];
  if (ratio.aim) {
    const at = x(ratio.aim.ratio);
    parts.push(
      `<line x1="${at}" y1="${y + 2}" x2="${at}" y2="${y + rowHeight - 2}" stroke="${colours.aim}" stroke-width="3"/>`,
    );
  }
  return parts.join("");
}

function round(value: number): number {
  return Number(value.toFixed(1));
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
}
