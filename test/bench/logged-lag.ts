// How late a worker's event loop was, as it logs it itself at the end of each job and at its own.

/** In milliseconds. */
export interface Lag {
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

/** Undefined when the log has none, as that of the stock worker. */
export function lastLag(log: string): Lag | undefined {
  const line = /Event loop: late by (\S+) ms \(median\), (\S+) ms \(p99\), (\S+) ms \(max\)/g;
  const [, median, p99, max] = [...log.matchAll(line)].at(-1) ?? [];
  return max === undefined ? undefined : { median: Number(median), p99: Number(p99), max: Number(max) };
}
