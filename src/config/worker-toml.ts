// openqa-worker.toml: strictly validated, laid over workers.ini. `[worker]` sets stock keys for the worker alone (it
// chooses no `[class:…]` sections and no job sees it), `[job_settings]` is free and for the jobs alone, the other
// tables are the own settings.
import { parse, TomlError, type TomlTable } from "smol-toml";
import { z } from "zod";
import { errorText, UsageError } from "../errors.ts";
import { logLevels } from "../ops/log.ts";
import type { ConfigText } from "./config-files.ts";
import { nearestName } from "./nearest-name.ts";
import { ownTables } from "./own-settings.ts";
import { Sourced, type Values } from "./sourced.ts";
import {
  isSecretKey,
  minFreePercentage,
  type NumberRange,
  numberKeys,
  switchKeys,
  textKeys,
} from "./stock-keys.ts";
import { lineOf } from "./toml-lines.ts";

export interface WorkerToml {
  /** Stock keys in upper case, their values as workers.ini would have them. */
  readonly worker: Values;
  /** Keys in upper case. */
  readonly jobSettings: Values;
  /** By "table.key". */
  readonly own: ReadonlyMap<string, Sourced<number>>;
}

type Scalar = string | number | boolean;
type Keys<T> = Record<string, z.ZodType<T>>;

const workerKeys: Keys<Scalar> = {
  ...Object.fromEntries(textKeys.map((key) => [key, z.string()])),
  ...Object.fromEntries(switchKeys.map((key) => [key, z.boolean()])),
  ...Object.fromEntries(Object.entries(numberKeys).map(([key, range]) => [key, numberIn(range)])),
  LOG_LEVEL: z.enum(logLevels),
  CACHE_MIN_FREE_PERCENTAGE: numberIn(minFreePercentage),
};
const workerTable = tableOf(
  Object.fromEntries(Object.entries(workerKeys).map(([key, type]) => [key.toLowerCase(), type])),
);
const jobSettingsTable = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean()], { error: "expected a string, a number or a boolean" }),
);
const ownKeys = Object.entries(ownTables).map(([table, ranges]) => {
  const keys = Object.entries(ranges).map(
    ([key, range]) => [key, numberIn({ ...range, whole: true })] as const,
  );
  return [table, Object.fromEntries(keys)] as const;
});
const knownKeys: ReadonlyMap<string, readonly string[]> = new Map([
  ["worker", Object.keys(workerTable.shape)],
  ["job_settings", []],
  ...ownKeys.map(([table, keys]) => [table, Object.keys(keys)] as const),
]);

/** Reads one file. Throws `UsageError` with a line per error: file, line, key, what was found and expected. */
export function parseWorkerToml(config: ConfigText): WorkerToml {
  const { path: file, text } = config;
  const document = parseToml(text, file);
  const errors = Object.keys(document)
    .filter((table) => !knownKeys.has(table))
    .map((table) => `${file}:${lineOf(text, [table])}: unknown table "${table}"${suggestion(table)}`);
  const read = <T>(table: string, type: z.ZodType<Record<string, T | undefined>>): [string, Sourced<T>][] => {
    const result = type.safeParse(document[table] ?? {}, { reportInput: true });
    if (!result.success) {
      errors.push(...result.error.issues.flatMap((issue) => describeIssue(issue, table, config)));
      return [];
    }
    return Object.entries(result.data).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, new Sourced(value, `${file}:${lineOf(text, [table, key])}`)]],
    );
  };
  const asStockValues = (entries: [string, Sourced<Scalar>][]): Values =>
    new Map(entries.map(([key, value]) => [key.toUpperCase(), value.map(asStockText)]));
  const toml = {
    worker: asStockValues(read("worker", workerTable)),
    jobSettings: asStockValues(read("job_settings", jobSettingsTable)),
    own: new Map(
      ownKeys.flatMap(([table, keys]) =>
        read(table, tableOf(keys)).map(([key, value]) => [`${table}.${key}`, value] as const),
      ),
    ),
  };
  if (errors.length > 0) throw new UsageError(errors.join("\n"));
  return toml;
}

function parseToml(text: string, file: string): TomlTable {
  try {
    return parse(text, { unsafeKeyBehaviour: "throw" });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The rest of the message quotes the file, which may hold secrets.
    const [message] = errorText(error).split("\n");
    throw new UsageError(`${file}:${error.line}:${error.column}: ${message}`);
  }
}

function describeIssue(issue: z.core.$ZodIssue, table: string, { path: file, text }: ConfigText): string[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map(
      (key) =>
        `${file}:${lineOf(text, [table, key])}: unknown key "${key}" in [${table}]${suggestion(key, table)}`,
    );
  }
  const path = [table, ...issue.path.map(String)];
  const value = isSecretKey(path.at(-1) ?? "") ? "" : ` is ${JSON.stringify(issue.input)}`;
  const expected = issue.message.replace(/^(Invalid \w+|Too \w+): /, "");
  return [`${file}:${lineOf(text, path)}: ${path.join(".")}${value}: ${expected}`];
}

/** Names the nearest key of the table (without one: the nearest table), else the nearest key of another one. */
function suggestion(unknown: string, table = ""): string {
  const near = nearestName(unknown, knownKeys.get(table) ?? [...knownKeys.keys()]);
  if (near !== undefined) return ` (did you mean "${near}"?)`;
  for (const [other, keys] of knownKeys) {
    const elsewhere = nearestName(unknown, keys);
    if (elsewhere !== undefined) return ` (did you mean "${elsewhere}" in [${other}]?)`;
  }
  return table === "worker" ? "; what is for jobs belongs to [job_settings]" : "";
}

function tableOf<T>(keys: Keys<T>) {
  return z.strictObject(
    Object.fromEntries(Object.entries(keys).map(([key, type]) => [key, type.optional()])),
  );
}

function numberIn({ min, max, whole }: Omit<NumberRange, "fallback">): z.ZodType<number> {
  return (whole ? z.int() : z.number()).min(min).max(max);
}

function asStockText(value: Scalar): string {
  return typeof value === "boolean" ? (value ? "1" : "0") : String(value);
}
