// What is known of the assets of a cache directory, one JSON file for each: beside the assets and out of the stock
// cache service's way, so that the index can be made again (field lessons 15, 41).
import { randomUUID } from "node:crypto";
import { open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CacheError, errorText } from "../errors.ts";
import { statIfThere } from "../ops/stat-if-there.ts";
import { type CacheFolder, hashOf } from "./cache-folder.ts";

/** One content that an asset may have. */
export interface AssetVersion {
  /** With its quotes. */
  readonly etag: string | undefined;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** Hex; undefined: taken over from the stock cache service and never hashed. */
  readonly sha256: string | undefined;
}

export interface AssetNotes {
  /** Absolute path of the asset. */
  readonly path: string;
  readonly versions: readonly AssetVersion[];
}

const notesSuffix = ".json";
const temporarySuffix = ".new";
/** A temporary file that is older belongs to nobody. */
const maxTemporaryAgeMs = 3600 * 1000;

const notesSchema = z.object({
  path: z.string(),
  versions: z.array(
    z
      .object({
        etag: z.string().optional(),
        sizeBytes: z.int().nonnegative(),
        mtimeNs: z.string().regex(/^-?\d+$/),
        sha256: z.string().optional(),
      })
      .transform(
        ({ etag, sizeBytes, mtimeNs, sha256 }): AssetVersion => ({
          etag,
          sizeBytes,
          mtimeNs: BigInt(mtimeNs),
          sha256,
        }),
      ),
  ),
});

/** The content that the file should have, or contents while it is being replaced; none when nothing is known. */
export async function readNotes(folder: CacheFolder, path: string): Promise<readonly AssetVersion[]> {
  const notes = await parseNotes(notesFile(folder, path));
  return notes?.path === path ? notes.versions : [];
}

/** Replaces what was known, at once and flushed. Throws `CacheError`. */
export async function writeNotes(
  folder: CacheFolder,
  path: string,
  versions: readonly AssetVersion[],
): Promise<void> {
  const temporary = join(folder.notesFolder, `${hashOf(path)}.${randomUUID()}${temporarySuffix}`);
  try {
    const file = await open(temporary, "wx", 0o644);
    try {
      await file.writeFile(notesText({ path, versions }));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, notesFile(folder, path));
  } catch (error) {
    await rm(temporary, { force: true });
    const text = `Cannot write down what is known of "${path}" in ${folder.notesFolder}: ${errorText(error)}`;
    throw new CacheError(text, { cause: error });
  }
}

export async function removeNotes(folder: CacheFolder, path: string): Promise<void> {
  await rm(notesFile(folder, path), { force: true });
}

/** Of all assets, in no order. Temporary files that somebody has left behind are removed. */
export async function* allNotes(folder: CacheFolder): AsyncGenerator<AssetNotes, void> {
  for (const name of await readdir(folder.notesFolder)) {
    const path = join(folder.notesFolder, name);
    if (name.endsWith(temporarySuffix)) await removeOld(path);
    const notes = name.endsWith(notesSuffix) ? await parseNotes(path) : undefined;
    if (notes && path === notesFile(folder, notes.path)) yield notes;
  }
}

function notesFile({ notesFolder }: CacheFolder, path: string): string {
  return join(notesFolder, `${hashOf(path)}${notesSuffix}`);
}

/** Nanoseconds since the epoch do not fit into a number: they are written as text. */
function notesText({ path, versions }: AssetNotes): string {
  const written = versions.map((version) => ({ ...version, mtimeNs: String(version.mtimeNs) }));
  return `${JSON.stringify({ path, versions: written })}\n`;
}

/** Undefined: there are none, or they cannot be read. */
async function parseNotes(file: string): Promise<AssetNotes | undefined> {
  try {
    return notesSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return undefined;
  }
}

async function removeOld(path: string): Promise<void> {
  const file = await statIfThere(path);
  if (file && Date.now() - file.mtimeMs > maxTemporaryAgeMs) await rm(path, { force: true });
}
