// Tables of measurements.

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

export interface Comparison {
  readonly name: string;
  readonly stock: readonly number[];
  readonly ours: readonly number[];
}

/** Prints minimum and median of both sides, and how the medians compare. */
export function printComparisons(comparisons: readonly Comparison[]): void {
  const rows = comparisons.map(({ name, stock, ours }) => {
    const [theirs, mine] = [median(stock), median(ours)];
    return [name, Math.min(...stock), theirs, Math.min(...ours), mine, mine / theirs];
  });
  printTable(["", "stock min", "median", "ours min", "median", "ours/stock"], rows);
}

/** Prints aligned columns, the first to the left, the others to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const cells = [head, ...rows].map((row) =>
    row.map((cell) => (typeof cell === "number" ? format(cell) : cell)),
  );
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  for (const row of cells) {
    const padded = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(`  ${padded.join("  ")}`);
  }
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 0);
}
