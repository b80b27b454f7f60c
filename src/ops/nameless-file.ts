// A file that nobody else sees, and that is gone when it is closed, however.
import { type FileHandle, open, unlink } from "node:fs/promises";
import { join } from "node:path";

/** For reading and appending. */
export async function openNameless(folder: string): Promise<FileHandle> {
  const path = join(folder, `nameless.${crypto.randomUUID()}`);
  const file = await open(path, "ax+", 0o600);
  await unlink(path);
  return file;
}
