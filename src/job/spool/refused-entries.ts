// The entries that web UIs have refused for good, each with a note why and since when.
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { namesIn } from "./folder-content.ts";
import type { RefusedEntry } from "./refused-limits.ts";

/** In the entry, for whoever looks at it; its time is that of the refusal. */
export const noteFile = "refused.txt";

/** Above these an entry counts as bigger than any limit. */
const maxCountedFiles = 100_000;
const maxDepth = 100;

/** Whatever is in the folder. None when there is no such folder. */
export async function refusedEntries(folder: string): Promise<RefusedEntry[]> {
  const entries: RefusedEntry[] = [];
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    const { mtimeMs } = await lstat(join(path, noteFile)).catch(() => lstat(path));
    entries.push({ name, refusedAt: mtimeMs, sizeBytes: await sizeBytes(path, { files: 0 }) });
  }
  return entries;
}

async function sizeBytes(path: string, counted: { files: number }, depth = 0): Promise<number> {
  counted.files++;
  if (counted.files > maxCountedFiles || depth > maxDepth) return Number.POSITIVE_INFINITY;
  const stats = await lstat(path);
  if (!stats.isDirectory()) return stats.size;
  let total = 0;
  for (const name of await readdir(path)) total += await sizeBytes(join(path, name), counted, depth + 1);
  return total;
}
