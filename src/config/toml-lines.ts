// Finds the lines of keys in a TOML text, which smol-toml does not tell.

/**
 * Line (from 1) on which a valid document assigns the path or something below it, or opens its table; 1 when it is
 * nowhere.
 */
export function lineOf(text: string, path: readonly string[]): number {
  let table: readonly string[] = [];
  let untilQuotes: string | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (untilQuotes !== undefined) {
      if (line.includes(untilQuotes)) untilQuotes = undefined;
      continue;
    }
    const header = /^\s*\[\[?([^\]]*)\]/.exec(line)?.[1];
    if (header !== undefined) {
      table = keyParts(header);
      if (startsWith(table, path)) return index + 1;
      continue;
    }
    const [, key, value = ""] = /^\s*((?:"[^"]*"|'[^']*'|[^"'=#])+)=\s*(.*)$/.exec(line) ?? [];
    if (key === undefined) continue;
    const assigned = [...table, ...keyParts(key)];
    // An assigned table in braces has the path within.
    if (startsWith(assigned, path) || startsWith(path, assigned)) return index + 1;
    const quotes = /^("""|''')/.exec(value)?.[1];
    if (quotes !== undefined && !value.slice(quotes.length).includes(quotes)) untilQuotes = quotes;
  }
  return 1;
}

function keyParts(dotted: string): string[] {
  return [...dotted.matchAll(/"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? "",
  );
}

function startsWith(path: readonly string[], start: readonly string[]): boolean {
  return start.length <= path.length && start.every((part, index) => part === path[index]);
}
