// Expansion of `%NAME%` in settings (protocol 4.1, step 4). Pure; always made from the settings as they were given, so
// that their order does not matter.
import { alwaysHidden } from "../hidden-names.ts";
import type { JobSettings } from "./job-settings.ts";

/** A run of % on either side of a name. The lookbehind keeps long runs of % from being tried from each of them. */
const placeholder = /(?<!%)(%+)([\p{Alphabetic}\p{Mark}\p{Nd}\p{Pc}]+)(%+)/gu;

/** Settings that name each other can grow without end, or keep the process busy for long: these are the bounds. */
const maxExpandedChars = 64 * 1024 * 1024;
const maxPlaceholders = 100_000;
const maxDepth = 100;
/** Of a value in an error text. */
const maxQuotedChars = 200;

export interface Expansion {
  readonly settings: JobSettings;
  /** Why it was given up; settings that were not done by then are as they were given. */
  readonly error?: string;
}

/**
 * Unknown names become empty. More than one % on a side: one is taken off each side and nothing is expanded.
 * `%CASEDIR%` is left for the test directories.
 */
export function expandPlaceholders(given: JobSettings): Expansion {
  const expanded = new Map(Object.entries(given));
  const expander = new Expander(given);
  try {
    for (const [name, value] of Object.entries(given)) expanded.set(name, expander.expand(value, []));
    return { settings: Object.fromEntries(expanded) };
  } catch (error) {
    if (!(error instanceof ExpansionError)) throw error;
    return { settings: Object.fromEntries(expanded), error: error.message };
  }
}

class ExpansionError extends Error {}

class Expander {
  private readonly known = new Map<string, string>();
  private chars = 0;
  private placeholders = 0;

  constructor(private readonly given: JobSettings) {}

  /** `within`: the names whose values lead here. */
  expand(text: string, within: readonly string[]): string {
    if (!text.includes("%")) return text;
    return text.replace(placeholder, (_, start: string, name: string, end: string) => {
      if (++this.placeholders > maxPlaceholders)
        throw new ExpansionError(`More than ${maxPlaceholders} placeholders`);
      if (name === "CASEDIR") return `${start}${name}${end}`;
      if (start.length > 1 || end.length > 1) return `${start.slice(1)}${name}${end.slice(1)}`;
      const value = this.valueOf(name, within);
      this.chars += value.length;
      if (this.chars > maxExpandedChars)
        throw new ExpansionError(`Values of more than ${maxExpandedChars} characters`);
      return value;
    });
  }

  private valueOf(name: string, within: readonly string[]): string {
    const known = this.known.get(name);
    if (known !== undefined) return known;
    const value = Object.hasOwn(this.given, name) ? this.given[name] : undefined;
    if (value === undefined) return "";
    if (within.includes(name)) {
      const shown = alwaysHidden.test(name) ? "[redacted]" : value.slice(0, maxQuotedChars);
      throw new ExpansionError(`The key ${name} contains a circular reference, its value is ${shown}.`);
    }
    if (within.length >= maxDepth)
      throw new ExpansionError(`More than ${maxDepth} keys that name each other`);
    const expanded = this.expand(value, [...within, name]);
    this.known.set(name, expanded);
    return expanded;
  }
}
