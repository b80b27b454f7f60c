// A folder in which nobody but this user can put, change or remove anything.
import { constants, type Stats } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
const writableByOthers = 0o022;

/**
 * Makes it, and the folder that it is in, when they are missing. What is done in it has to go through the descriptor
 * (`folderPath`): who can write to a folder above could put another in its place. Throws when it is not private.
 */
export async function openPrivateFolder(path: string): Promise<FileHandle> {
  await makeFolder(dirname(path));
  await makeFolder(path);
  const folder = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    checkPrivate(path, await folder.stat());
    return folder;
  } catch (error) {
    await folder.close();
    throw error;
  }
}

/** Of an open folder; also after it has been renamed. */
export function folderPath({ fd }: FileHandle): string {
  return `/proc/self/fd/${fd}`;
}

/** Throws when somebody else than this user could write to it. */
export function checkPrivate(name: string, { uid, mode }: Stats): void {
  const own = process.geteuid?.();
  if (uid !== own) throw new Error(`${name} belongs to user ${uid}, expected ${own}`);
  if ((mode & writableByOthers) !== 0)
    throw new Error(`${name} is writable by others (mode ${(mode & 0o777).toString(8)})`);
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error) => {
    if (error.code !== "EEXIST") throw error;
  });
}
