// Figures as text.
import type { Measurement } from "./bench-part.ts";
import { median, ownSide, type Ratio, ratios } from "./statistics.ts";

const head = ["", "", "n", "min", "median", "ours/it", ""];

/** Lines: for each measurement its sides, a line each, with what ours comes to compared with it. */
export function partTable(measurements: readonly Measurement[]): string[] {
  const remarks = measurements.filter(({ remark }) => remark !== undefined);
  return [
    ...aligned([head, ...measurements.flatMap(rowsOf)]),
    ...remarks.map(({ name, remark }) => `${name}: ${remark}`),
  ];
}

function rowsOf(measurement: Measurement): string[][] {
  const { name, unit, sides } = measurement;
  const compared = ratios(measurement);
  // Ours last: it is what the others are held against.
  const order = Object.entries(sides).toSorted(([a], [b]) => Number(a === ownSide) - Number(b === ownSide));
  return order.map(([side, samples], index) => {
    const ratio = compared.find((one) => one.side === side);
    return [
      index === 0 ? (unit === "ratio" ? name : `${name} (${unit})`) : "",
      side,
      String(samples.length),
      valueText(Math.min(...samples)),
      valueText(median(samples)),
      ratio === undefined ? "" : ratioText(ratio.value),
      ratio === undefined ? "" : aimText(ratio),
    ];
  });
}

/** "≤ 0.25 ✓", "≤ 0.25 missed", or nothing. */
export function aimText({ aim }: Ratio): string {
  return aim === undefined ? "" : `≤ ${ratioText(aim.ratio)} ${aim.isMet ? "✓" : "missed"}`;
}

export function ratioText(value: number): string {
  return value.toFixed(value < 0.1 ? 3 : 2);
}

function valueText(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

const leftColumns = [0, 1, 6];

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return leftColumns.includes(column) ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd(),
  );
}
