// The environment for programs that the worker runs.
import type { Program } from "../context.ts";

/** Without what would change how a Bun executable behaves. */
export function childEnvironment({ env }: Pick<Program, "env">): Record<string, string> {
  const given = Object.entries(env).filter(([name]) => !name.startsWith("BUN_"));
  return Object.fromEntries(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
