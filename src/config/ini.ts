// The INI dialect of workers.ini and client.conf (protocol 1.2): text to sections and entries with their lines. What
// the keys mean is not known here.
import { Sourced } from "./sourced.ts";

/** One `key = value` or `key += value`. */
export interface IniEntry {
  readonly key: string;
  /** All that is left of the equals sign: what is spelt differently ("A", "a", "A+", "A +") is no repetition. */
  readonly spelling: string;
  readonly appends: boolean;
  readonly value: Sourced<string>;
}

export interface IniFile {
  /** By name, letter by letter, in order of their first appearance; repeated keys are all there. */
  readonly sections: ReadonlyMap<string, readonly IniEntry[]>;
  /** Errors with file and line. If there are any, nothing of the file counts: `sections` is empty. */
  readonly problems: readonly string[];
}

/** Errors that are reported of one file; the rest is left out. */
const maxProblemsPerFile = 20;

/** Never throws. Messages do not quote the text, which may hold secrets. */
export function parseIni(text: string, file: string): IniFile {
  const sections = new Map<string, IniEntry[]>();
  const problems: string[] = [];
  let current: IniEntry[] | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    const origin = `${file}:${index + 1}`;
    const line = raw.trim();
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const name = /^\[\s*(\S|\S.*\S)\s*\]$/.exec(line)?.[1];
    const entry = parseEntry(line, origin);
    if (name !== undefined) {
      current = sections.get(name) ?? [];
      sections.set(name, current);
    } else if (entry === undefined) {
      problems.push(`${origin}: no section, assignment or comment`);
    } else if (current === undefined) {
      problems.push(`${origin}: assignment before the first section`);
    } else {
      current.push(entry);
    }
    if (problems.length === maxProblemsPerFile) break;
  }
  if (sections.size === 0 && problems.length === 0) problems.push(`${file}: no section in this file`);
  if (problems.length === 0) return { sections, problems };
  return { sections: new Map(), problems: problems.map((text) => `${text}; the whole file is ignored`) };
}

function parseEntry(line: string, origin: string): IniEntry | undefined {
  const equals = line.indexOf("=");
  if (equals < 0) return undefined;
  const spelling = line.slice(0, equals).trim();
  const appends = spelling.endsWith("+");
  const key = appends ? spelling.slice(0, -1).trim() : spelling;
  if (key === "") return undefined;
  return { key, spelling, appends, value: new Sourced(line.slice(equals + 1).trim(), origin) };
}
