// Removes entries of one folder by name; links are removed, never followed.
import { chmod, lstat, readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";

/** Deeper folders are not made removable. */
const maxDepth = 100;

/** Also folders that their owner made read-only. Throws for what cannot be removed, and for names that are none. */
export async function removeEntries(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (basename(name) !== name || name === "." || name === "..")
      throw new Error(`Refusing to remove ${JSON.stringify(name)}: not the name of an entry of ${directory}`);
    const path = join(directory, name);
    try {
      await rm(path, { recursive: true, force: true });
    } catch {
      await makeRemovable(path, 0);
      await rm(path, { recursive: true, force: true });
    }
  }
}

async function makeRemovable(path: string, depth: number): Promise<void> {
  if (depth === maxDepth || !(await lstat(path)).isDirectory()) return;
  await chmod(path, 0o700);
  for (const name of await readdir(path)) await makeRemovable(join(path, name), depth + 1);
}
