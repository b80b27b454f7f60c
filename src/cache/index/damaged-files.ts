// Index files that were damaged, kept for whoever wants to know why: a few of them, and never one that is in use.
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { removeEntries } from "../../ops/remove-entries.ts";
import type { CacheFolder } from "../cache-folder.ts";

/** Files that SQLite has beside a database; one of them beside another database would damage that. */
export const sidecarSuffixes: readonly string[] = ["-journal", "-wal", "-shm"];

const maxKeptCount = 3;
const damagedName = /^(cache\.[\dT-]+\.sqlite)(-journal|-wal|-shm)?$/;

/** Moves those of the index's files, in this order, as far as they are there. Resolves with the index's new path. */
export async function setAside(
  { indexFile, damagedFolder }: CacheFolder,
  suffixes: readonly string[],
): Promise<string> {
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-").replace("Z", "");
  const target = join(damagedFolder, `cache.${stamp}.sqlite`);
  for (const suffix of suffixes) {
    await rename(`${indexFile}${suffix}`, `${target}${suffix}`).catch((error: unknown) => {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    });
  }
  return target;
}

/** Removes all but the newest. */
export async function forgetOldest({ damagedFolder }: CacheFolder): Promise<void> {
  const names = await readdir(damagedFolder);
  const databaseOf = (name: string) => damagedName.exec(name)?.[1];
  const databases = [...new Set(names.map(databaseOf))].filter((name) => name !== undefined).sort();
  const oldest = databases.slice(0, -maxKeptCount);
  await removeEntries(
    damagedFolder,
    names.filter((name) => oldest.includes(databaseOf(name) ?? "")),
  );
}
