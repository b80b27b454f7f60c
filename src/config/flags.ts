// The stock worker's command line as values (protocol 1.5). Parsing of argv happens in commands/.
import { UsageError } from "../errors.ts";

/** Values as given. */
export interface StockFlags {
  readonly host?: string | undefined;
  readonly instance?: string | undefined;
  readonly apikey?: string | undefined;
  readonly apisecret?: string | undefined;
  readonly isotovideo?: string | undefined;
  /** False with `--no-cleanup`. */
  readonly cleanup: boolean;
  readonly verbose: boolean;
  /** In place of CACHEDIRECTORY. */
  readonly cacheDirectory?: string | undefined;
}

/** Slots of one process. */
export const maxSlots = 1000;

/**
 * Instance numbers of "3", "1-4", "1,3" or "1-2,5": sorted, each once. "0" means 1, as ever.
 * Throws `UsageError` for anything else.
 */
export function parseInstances(text: string): number[] {
  if (/^0+$/.test(text.trim())) return [1];
  const instances = new Set<number>();
  for (const part of text.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (!Number.isSafeInteger(last) || first < 1 || first > last) throw invalid(text);
    if (last - first >= maxSlots) throw tooMany(text);
    for (let instance = first; instance <= last; instance++) instances.add(instance);
    if (instances.size > maxSlots) throw tooMany(text);
  }
  return [...instances].sort((a, b) => a - b);
}

function invalid(text: string): UsageError {
  return new UsageError(
    `--instance ${text}: expected a number from 1, a range or a list, such as 3, 1-4 or 1,3`,
  );
}

function tooMany(text: string): UsageError {
  return new UsageError(`--instance ${text}: expected at most ${maxSlots} instances`);
}
