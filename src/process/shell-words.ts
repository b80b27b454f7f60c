// Splits text into words as a shell does, but expands nothing. Own code: packages for it expand variables or understand
// operators, which must stay plain text here.

/** Blanks, '…', "…", a backslash with what it protects, or plain text; anything else is not finished. */
const piece = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)/gsy;

/** Undefined when a quote has no end, or a backslash nothing to protect. */
export function splitShellWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let end = 0;
  for (const [match, single, double, protectedChar, plain] of text.matchAll(piece)) {
    end += match.length;
    const part = single ?? double?.replace(/\\([$`"\\])/g, "$1") ?? protectedChar ?? plain;
    if (part !== undefined) word = `${word ?? ""}${part}`;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  return end === text.length ? words : undefined;
}
