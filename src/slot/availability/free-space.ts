// Whether a pool directory has room for a job at all (field lesson 27).
import { statfs } from "node:fs/promises";

const mib = 1024 * 1024;

/** With less, even a job that has hardly any results fails. */
const minFreeBytes = 64 * mib;

/** Why there is none; undefined: there is, or it cannot be told. */
export async function findLackOfSpace(poolDirectory: string): Promise<string | undefined> {
  const stats = await statfs(poolDirectory).catch(() => undefined);
  return stats && lackOfSpace(poolDirectory, stats.bavail * stats.bsize);
}

export function lackOfSpace(poolDirectory: string, freeBytes: number): string | undefined {
  if (freeBytes >= minFreeBytes) return undefined;
  return `No space left on the device of ${poolDirectory}: ${Math.floor(freeBytes / mib)} MiB free, at least ${minFreeBytes / mib} MiB are needed`;
}
