// Settings without their secrets, for logs and for the vars.json that is uploaded (protocol 4.1 step 5, 8.1 step 3).
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Context } from "../context.ts";
import { removeEntries } from "../ops/remove-entries.ts";
import { readInside } from "../results/pool-file.ts";
import { findHidden } from "./hidden-names.ts";
import type { JobSettings } from "./set-up/job-settings.ts";

const maxVarsBytes = 64 * 1024 * 1024;
/** Characters of one value in the log. */
const maxLoggedChars = 2000;

const regexName = "_HIDE_SECRETS_REGEX";

/** The same settings, values of secret ones replaced. */
export async function redactSettings<T>(
  settings: Readonly<Record<string, T>>,
  context: Context,
): Promise<Record<string, T | string>> {
  const given = Object.hasOwn(settings, regexName) ? settings[regexName] : undefined;
  const regex = typeof given === "string" ? given : undefined;
  const { isHidden, error } = await findHidden(Object.keys(settings), regex, context);
  const redacted = Object.entries(settings).map(([name, value]): [string, T | string] => {
    if (name === regexName && error !== undefined) return [name, `(invalid regex specified: ${error})`];
    return [name, isHidden(name) ? "[redacted]" : value];
  });
  return Object.fromEntries(redacted);
}

/** For the log: a line for each setting, by name. */
export async function describeSettings(settings: JobSettings, context: Context): Promise<string> {
  const redacted = Object.entries(await redactSettings(settings, context));
  return redacted
    .sort(byName)
    .map(([name, value]) => `    ${name}=${abbreviated(value)}`)
    .join("\n");
}

/** The text of a vars.json without secrets, sorted and indented; undefined when it is no JSON object. */
export async function redactVarsJson(text: string, context: Context): Promise<string | undefined> {
  const vars = z.record(z.string(), z.unknown()).safeParse(parseJson(text)).data;
  if (vars === undefined) return undefined;
  const redacted = Object.entries(await redactSettings(vars, context)).sort(byName);
  return `${JSON.stringify(Object.fromEntries(redacted), undefined, 3)}\n`;
}

/**
 * Rewrites vars.json in the pool without secrets, if there is one. Throws when it cannot be: it must not be uploaded
 * then.
 */
export async function redactVarsFile(poolDirectory: string, context: Context): Promise<void> {
  const bytes = await readInside(poolDirectory, "vars.json", maxVarsBytes);
  if (bytes === undefined) return;
  const redacted = await redactVarsJson(bytes.toString(), context);
  if (redacted === undefined) throw new Error("vars.json is no JSON object");
  const temporary = ".vars.json.redacted";
  await removeEntries(poolDirectory, [temporary]);
  await using file = await open(join(poolDirectory, temporary), "wx", 0o644);
  await file.writeFile(redacted);
  await rename(join(poolDirectory, temporary), join(poolDirectory, "vars.json"));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}

function abbreviated(value: string): string {
  if (value.length <= maxLoggedChars) return value;
  return `${value.slice(0, maxLoggedChars)}… (${value.length} characters)`;
}
