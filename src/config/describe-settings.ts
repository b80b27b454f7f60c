// What `--show-config` prints: every value with its origin, secrets masked.
import type { Settings } from "./settings.ts";
import { leavesOf } from "./sourced.ts";
import { isSecretKey } from "./stock-keys.ts";

/** One line per value: `hosts.0.url = "http://localhost"  (default)`. Ends with a line end. */
export function describeSettings({ problems, origins, ...values }: Settings): string {
  return [...leavesOf(values)]
    .map(([path, leaf]) => `${path} = ${shown(path, leaf)}  (${origins.get(path)})\n`)
    .join("");
}

function shown(path: string, leaf: unknown): string {
  if (leaf === undefined) return "(unset)";
  if (leaf === Number.POSITIVE_INFINITY) return "unlimited";
  return isSecret(path) ? "[masked]" : JSON.stringify(leaf);
}

function isSecret(path: string): boolean {
  const [, jobKey] = /^jobSettings\.(.*)$/s.exec(path) ?? [];
  return jobKey === undefined ? /\.(secret|password)$/.test(path) : isSecretKey(jobKey);
}
