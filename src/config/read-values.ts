// How the texts of keys become typed values: Perl's idea of true and false, numbers in range, anything unusable left
// out with a line in `problems`.
import type { Program } from "../context.ts";
import { byDefault, Sourced, type Values } from "./sourced.ts";
import { environmentNumbers, type NumberRange, numberKeys } from "./stock-keys.ts";

/** What a value is read from. `problems` is added to. */
export interface ValueSources {
  readonly program: Program;
  readonly values: Values;
  readonly problems: string[];
}

/** An environment variable; an empty one counts as not set. */
export function variable({ env }: Program, name: string): Sourced<string> | undefined {
  const value = env[name];
  return value ? new Sourced(value, `$${name}`) : undefined;
}

/** What the stock worker takes for true. */
export function isOn(text: string): boolean {
  return text !== "" && text !== "0";
}

export function switchOf(values: Values, key: string, fallback: boolean): Sourced<boolean> {
  return values.get(key)?.map(isOn) ?? byDefault(fallback);
}

/** The text of a key that an empty value or "0" turns off. */
export function textOf(values: Values, key: string): Sourced<string | undefined> {
  const value = values.get(key);
  return value === undefined ? byDefault(undefined) : value.map((text) => (isOn(text) ? text : undefined));
}

/** A number of workers.ini or openqa-worker.toml, in the unit of its key; its variable wins. */
export function numberOf(
  key: keyof typeof numberKeys,
  { program, values, problems }: ValueSources,
): Sourced<number> {
  const range: NumberRange = numberKeys[key];
  const fromEnvironment = range.variable === undefined ? undefined : variable(program, range.variable);
  return firstNumber(key, [fromEnvironment, values.get(key)], range, problems) ?? byDefault(range.fallback);
}

export function environmentNumber(
  name: keyof typeof environmentNumbers,
  { program, problems }: ValueSources,
): Sourced<number> {
  const range = environmentNumbers[name];
  return firstNumber(name, [variable(program, name)], range, problems) ?? byDefault(range.fallback);
}

/** The first text that is a number in range. Empty ones count as not set, unusable ones too, with a problem. */
export function firstNumber(
  key: string,
  candidates: readonly (Sourced<string> | undefined)[],
  { min, max, whole }: Omit<NumberRange, "fallback">,
  problems: string[],
): Sourced<number> | undefined {
  for (const candidate of candidates) {
    if (candidate === undefined || candidate.value === "") continue;
    const given = Number(candidate.value);
    const number = whole ? Math.trunc(given) : given;
    if (number >= min && number <= max) return new Sourced(number, candidate.origin);
    const expected = `expected a number from ${min} to ${max}`;
    problems.push(`${candidate.origin}: ${key} is "${candidate.value}", ${expected}; ignored`);
  }
  return undefined;
}

export function toMilliseconds(seconds: number): number {
  return Math.round(seconds * 1000);
}
