// "Did you mean": the known name that is nearest to an unknown one.

/** A third of the letters may differ, case aside; undefined when no name is that near. */
export function nearestName(unknown: string, known: readonly string[]): string | undefined {
  const word = unknown.toLowerCase();
  const ranked = known
    .map((name) => ({ name, distance: editDistance(word, name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(word.length, best.name.length) / 3
    ? best.name
    : undefined;
}

/** Levenshtein distance; own code, as no package here exports one. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
