// Removes entries of one folder by name; links are removed, never followed.
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";

export async function removeEntries(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (basename(name) !== name || name === "." || name === "..")
      throw new Error(`Refusing to remove ${JSON.stringify(name)}: not the name of an entry of ${directory}`);
    await rm(join(directory, name), { recursive: true, force: true });
  }
}
