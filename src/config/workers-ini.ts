// What workers.ini says for one slot: files laid over each other, sections applied in their order (protocol 1.3,
// steps 1 to 3), values as text. Environment and flags come later, in load-settings.ts.
import type { IniEntry, IniFile } from "./ini.ts";
import { Sourced, type Values } from "./sourced.ts";

/** Sections of all files, each with the entries that count, by spelling. */
export type WorkersIni = ReadonlyMap<string, ReadonlyMap<string, IniEntry>>;

/** Lays files over each other. Of a key repeated in one file the first counts; a later file replaces it. */
export function mergeFiles(files: readonly IniFile[]): WorkersIni {
  const merged = new Map<string, Map<string, IniEntry>>();
  for (const file of files) {
    for (const [name, entries] of file.sections) {
      const section = merged.get(name) ?? new Map<string, IniEntry>();
      merged.set(name, section);
      // Set in place, so that a replaced key keeps its turn; backwards, so that the first of a file stays.
      for (const entry of entries) if (!section.has(entry.spelling)) section.set(entry.spelling, entry);
      for (const entry of entries.toReversed()) section.set(entry.spelling, entry);
    }
  }
  return merged;
}

/** All keys that `[global]`, the slot's sections and those of its classes set, HOST included. */
export function slotValues(ini: WorkersIni, instance: number): Values {
  const values = new Map<string, Sourced<string>>();
  apply(ini.get("global"), values);
  for (const [name, section] of ini) if (isForInstance(name, instance)) apply(section, values);
  const classes = values.get("WORKER_CLASS")?.value.split(",") ?? [];
  for (const name of classes) apply(ini.get(`class:${name}`), values, { fillsOnly: true });
  return values;
}

/** The keys of one section, as of a web UI host. */
export function sectionValues(ini: WorkersIni, name: string): Values {
  const values = new Map<string, Sourced<string>>();
  apply(ini.get(name), values);
  return values;
}

function apply(
  section: ReadonlyMap<string, IniEntry> | undefined,
  values: Map<string, Sourced<string>>,
  { fillsOnly = false } = {},
): void {
  for (const { key, appends, value } of section?.values() ?? []) {
    const name = key.toUpperCase();
    const before = values.get(name);
    if (before === undefined || (!appends && !fillsOnly)) values.set(name, value);
    else if (!fillsOnly) values.set(name, append(before, value));
  }
}

function append(before: Sourced<string>, more: Sourced<string>): Sourced<string> {
  return new Sourced(`${before.value},${more.value}`, `${before.origin}, ${more.origin}`);
}

/** Whether a section's name is the instance or a list or range with it: "3", "1,3", "2-5", "1, 3 - 6". */
function isForInstance(name: string, instance: number): boolean {
  return name.split(/ *, */).some((part) => {
    const match = /^(\d+) *(?:- *(\d+))?$/.exec(part);
    return match !== null && instance >= Number(match[1]) && instance <= Number(match[2] ?? match[1]);
  });
}
