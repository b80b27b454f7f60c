// Settings that the stock worker does not have: defaults, ranges and names. A value `stop.graceMs` is `grace_ms` in
// table `[stop]` of openqa-worker.toml and OPENQA_WORKER_STOP_GRACE_MS in the environment, which wins.
import { UsageError } from "../errors.ts";
import type { OwnSettings } from "./settings.ts";
import { byDefault, Sourced, type SourcedTree } from "./sourced.ts";
import { maxDelayMs, type NumberRange } from "./stock-keys.ts";

const delay = (fallback: number, min = 1): NumberRange => ({ fallback, min, max: maxDelayMs });
const kib = 1024;
const mib = 1024 * kib;
const week = 7 * 24 * 3_600_000;
const size = (fallback: number): NumberRange => ({ fallback, min: 64 * kib, max: 1024 * mib });

const ranges: { readonly [T in keyof OwnSettings]: Readonly<Record<keyof OwnSettings[T], NumberRange>> } = {
  timeouts: {
    answerMs: delay(60_000),
    idleMs: delay(60_000),
    requestMs: delay(300_000),
    websocketMs: delay(20_000),
  },
  stop: { graceMs: delay(30_000, 0), totalMs: delay(60_000) },
  report: {
    intervalMs: delay(10_000, 10),
    watchedIntervalMs: delay(1000, 10),
    parallelUploads: { fallback: 4, min: 1, max: 64 },
  },
  pictures: {
    parallel: { fallback: 2, min: 1, max: 64 },
    endDelayMs: delay(30_000, 0),
    timeoutMs: delay(60_000),
    idleMs: delay(30_000),
  },
  spool: {
    triesBefore: { fallback: 4, min: 1, max: 1_000_000 },
    retryDelayMs: delay(5000),
    maxRetryDelayMs: delay(60_000),
    keepRefusedMs: delay(week, 0),
    keepRefusedBytes: { fallback: 1024 * mib, min: 0, max: 1024 * 1024 * mib },
  },
  cache: {
    retryDelayMs: delay(5000),
    maxRetryDelayMs: delay(60_000),
    minBytesPerWindow: { fallback: 64 * kib, min: 1, max: 1024 * mib },
    rateWindowMs: delay(60_000, 10),
    lockRetryMs: delay(100),
    indexWaitMs: delay(600_000),
  },
  limits: {
    maxFrameBytes: size(64 * mib),
    maxJobMessageBytes: size(10 * mib),
    maxResultFileBytes: size(64 * mib),
  },
};

/** Ranges of all own settings by the names in openqa-worker.toml: table, then key. All are whole numbers. */
export const ownTables: Readonly<Record<string, Readonly<Record<string, NumberRange>>>> = mapEntries(
  ranges,
  (_, table) => Object.fromEntries(Object.entries(table).map(([key, range]) => [snakeCase(key), range])),
);

/**
 * The own settings from values by "table.key" (as in openqa-worker.toml) and the environment.
 * Throws `UsageError` for a variable that is no number in range.
 */
export function ownSettings(
  fromFile: ReadonlyMap<string, Sourced<number>>,
  env: Readonly<Record<string, string | undefined>>,
): SourcedTree<OwnSettings> {
  const tree = mapEntries(ranges, (table, keys) =>
    mapEntries(keys, (key, range) => {
      const name = snakeCase(key);
      const fromEnvironment = numberFromEnvironment(
        `OPENQA_WORKER_${table}_${name}`.toUpperCase(),
        range,
        env,
      );
      return fromEnvironment ?? fromFile.get(`${table}.${name}`) ?? byDefault(range.fallback);
    }),
  );
  // `ranges` has the keys of OwnSettings, which mapEntries keeps but does not say.
  return tree as SourcedTree<OwnSettings>;
}

function numberFromEnvironment(
  name: string,
  { min, max }: NumberRange,
  env: Readonly<Record<string, string | undefined>>,
): Sourced<number> | undefined {
  const text = env[name];
  if (!text) return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number >= min && number <= max) return new Sourced(number, `$${name}`);
  throw new UsageError(`$${name} is "${text}", expected a whole number from ${min} to ${max}`);
}

function mapEntries<V, R>(object: Readonly<Record<string, V>>, map: (key: string, value: V) => R) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(key, value)]));
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
