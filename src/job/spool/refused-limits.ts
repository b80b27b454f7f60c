// How long, and how much of, what a web UI has refused for good is kept.
import type { OwnSettings } from "../../config/settings.ts";

export type RefusedLimits = Pick<OwnSettings["spool"], "keepRefusedMs" | "keepRefusedBytes">;

export interface RefusedEntry {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly refusedAt: number;
  readonly sizeBytes: number;
}

/** So that no folder grows without end. */
const maxKept = 1000;

/**
 * Names of the entries that have to go: too old ones, those that fit not even alone, and the oldest until the others
 * fit together.
 */
export function beyondLimits(
  entries: readonly RefusedEntry[],
  { keepRefusedMs, keepRefusedBytes }: RefusedLimits,
  now: number,
): string[] {
  const mayStay = ({ refusedAt, sizeBytes }: RefusedEntry) =>
    now - refusedAt < keepRefusedMs && sizeBytes <= keepRefusedBytes;
  const newestFirst = entries.filter(mayStay).sort((a, b) => b.refusedAt - a.refusedAt);
  const kept = new Set<string>();
  let totalBytes = 0;
  for (const { name, sizeBytes } of newestFirst) {
    totalBytes += sizeBytes;
    if (totalBytes > keepRefusedBytes || kept.size === maxKept) break;
    kept.add(name);
  }
  return entries.map(({ name }) => name).filter((name) => !kept.has(name));
}
