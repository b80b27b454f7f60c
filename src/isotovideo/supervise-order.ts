// What the worker tells the supervisor of a job. The supervisor loads this, so it is checked without a library.
// The environment of isotovideo is the one that the supervisor is started with.

export interface SuperviseOrder {
  readonly format: 1;
  readonly poolDirectory: string;
  readonly command: readonly string[];
  /** From TERM to isotovideo to TERM to all that is left. */
  readonly graceMs: number;
}

/** Throws when the text is no order. */
export function parseOrder(text: string): SuperviseOrder {
  const value: unknown = JSON.parse(text);
  if (
    typeof value === "object" &&
    value !== null &&
    "format" in value &&
    value.format === 1 &&
    "poolDirectory" in value &&
    typeof value.poolDirectory === "string" &&
    "command" in value &&
    Array.isArray(value.command) &&
    "graceMs" in value &&
    typeof value.graceMs === "number"
  ) {
    const { poolDirectory, graceMs } = value;
    return { format: 1, poolDirectory, graceMs, command: value.command.map(String) };
  }
  throw new Error("not an order to supervise of format 1");
}
