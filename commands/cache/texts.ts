// Texts of the `cache` subcommands: tables and spans of time.

/** Columns as wide as they need to be; no line ends in blanks. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, ...rows];
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const spans = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
] as const;

/** As in "3 d ago". */
export function ageText(seconds: number): string {
  return `${spanText(seconds)} ago`;
}

/** The biggest unit that fits, as in "3 d" or "12 s". */
export function spanText(seconds: number): string {
  for (const [unit, length] of spans) if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  return `${Math.max(0, Math.round(seconds))} s`;
}
