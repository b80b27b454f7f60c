// The only way to files that a job controls: nothing outside the directory is ever opened, whatever stands in it.
// Each folder on the way is opened by itself and the next name is looked up in it, so links cannot lead astray,
// not even when they are put there in between.
import { constants } from "node:fs";
import { type FileHandle, open, readdir, readlink, unlink } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { errorText, exitCode, WorkerError } from "../errors.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;

/** Something in a pool directory is there but is not what it has to be: a link, a FIFO, too big, not readable. */
export class PoolFileError extends WorkerError {
  readonly exitCode = exitCode.failed;
}

/** An open regular file. Closed by its owner (`await using`). */
export interface PoolFile extends AsyncDisposable {
  readonly handle: FileHandle;
  /** Size when it was opened; what is appended later does not count. */
  readonly sizeBytes: number;
  /** Differs when the file was replaced or written again. */
  readonly version: string;
  /** Differs when the file was replaced. */
  readonly inode: number;
}

/**
 * Opens a regular file below a directory for reading. The directory itself may be a link, nothing below it may.
 * Undefined when there is no such file. Throws `PoolFileError` for all else.
 */
export async function openInside(directory: string, relativeName: string): Promise<PoolFile | undefined> {
  const handle = await openBelow(directory, relativeName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (handle === undefined) return undefined;
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new PoolFileError(`${relativeName} is no regular file in ${directory}`);
    const version = `${stats.mtimeMs}-${stats.size}`;
    const { size: sizeBytes, ino: inode } = stats;
    return { handle, sizeBytes, version, inode, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Content of a regular file below a directory; undefined when there is none. Throws `PoolFileError`. */
export async function readInside(
  directory: string,
  relativeName: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  await using file = await openInside(directory, relativeName);
  return file && (await readWhole(file, relativeName, maxBytes));
}

/** Content of an open file. Throws `PoolFileError` when it is too big. */
export async function readWhole(file: PoolFile, name: string, maxBytes: number): Promise<Buffer> {
  if (file.sizeBytes > maxBytes)
    throw new PoolFileError(`${name} has ${file.sizeBytes} bytes, more than the ${maxBytes} that are read`);
  return await readAt(file, 0, file.sizeBytes);
}

/** Up to `lengthBytes` bytes from an offset; fewer only at the end of the file. */
export async function readAt(file: PoolFile, offset: number, lengthBytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(lengthBytes);
  let filled = 0;
  while (filled < lengthBytes) {
    const { bytesRead } = await file.handle.read(buffer, filled, lengthBytes - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/**
 * Writes a new file below a directory, for this user only. Its folder has to be there, nothing of its name may be. When
 * that fails nothing is left of it. Throws `PoolFileError`.
 */
export async function createInside(
  directory: string,
  relativeName: string,
  content: Uint8Array,
): Promise<void> {
  const name = relativeName.endsWith("/") ? "" : basename(relativeName);
  await using folder = await openFolderInside(directory, dirname(relativeName));
  if (folder === undefined || !isBareName(name))
    throw new PoolFileError(`There is no folder in ${directory} for a file ${relativeName}`);
  const path = `/proc/self/fd/${folder.fd}/${name}`;
  try {
    await using file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    await file.writeFile(content).catch(async (error) => {
      await unlink(path);
      throw error;
    });
  } catch (cause) {
    throw new PoolFileError(`Unable to write ${relativeName} in ${directory}: ${errorText(cause)}`, {
      cause,
    });
  }
}

/** What is in a folder, by name. */
export interface Listing {
  /** Regular files. */
  readonly files: readonly string[];
  /** Links, FIFOs and the like, but no folders. */
  readonly others: readonly string[];
}

/**
 * Opens a folder below a directory, "." being the directory itself, for use as /proc/self/fd/N. Undefined when there is
 * none. Throws `PoolFileError`, also when something else is there.
 */
export async function openFolderInside(
  directory: string,
  relativeName: string,
): Promise<FileHandle | undefined> {
  return await openBelow(directory, relativeName, O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
}

/** Lists a folder, "." being the directory itself; one that does not exist is empty. Throws `PoolFileError`. */
export async function listInside(directory: string, relativeName: string): Promise<Listing> {
  await using folder = await openFolderInside(directory, relativeName);
  if (folder === undefined) return { files: [], others: [] };
  const entries = await readdir(`/proc/self/fd/${folder.fd}`, { withFileTypes: true });
  const named = (wanted: typeof entries) => wanted.map(({ name }) => name).sort();
  return {
    files: named(entries.filter((entry) => entry.isFile())),
    others: named(entries.filter((entry) => !entry.isFile() && !entry.isDirectory())),
  };
}

/**
 * Where a link below a directory points, as it stands in the link; undefined when there is none. Whoever goes on with
 * it has to check it. Throws `PoolFileError`, also when something else is there.
 */
export async function readLinkInside(directory: string, relativeName: string): Promise<string | undefined> {
  await using folder = await openFolderInside(directory, dirname(relativeName));
  if (folder === undefined) return undefined;
  const path = `/proc/self/fd/${folder.fd}/${basename(relativeName)}`;
  return await readlink(path).catch((error) => undefinedIfMissing(error, relativeName, directory));
}

/** Whether a name has no folder in it and names something in one. */
export function isBareName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !name.includes("/") && !name.includes("\0");
}

async function openBelow(
  directory: string,
  relativeName: string,
  flags: number,
): Promise<FileHandle | undefined> {
  const names = relativeName === "." ? [] : relativeName.split("/");
  if (!names.every(isBareName))
    throw new PoolFileError(`"${relativeName}" does not name a file in ${directory}`);
  try {
    // The dot keeps O_NOFOLLOW from refusing a directory that is itself reached over a link.
    return await openStepwise(`${directory}/.`, names, flags);
  } catch (error) {
    return undefinedIfMissing(error, relativeName, directory);
  }
}

function undefinedIfMissing(cause: unknown, relativeName: string, directory: string): undefined {
  if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
  throw new PoolFileError(`Unable to open ${relativeName} in ${directory}: ${errorText(cause)}`, { cause });
}

async function openStepwise(path: string, below: readonly string[], flags: number): Promise<FileHandle> {
  const [name, ...rest] = below;
  if (name === undefined) return await open(path, flags);
  await using folder = await open(path, O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
  return await openStepwise(`/proc/self/fd/${folder.fd}/${name}`, rest, flags);
}
