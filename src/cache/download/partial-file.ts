// What is known of an unfinished download, in a JSON file beside it: whether, and with what, it can be gone on with.
import { lstat, readFile, rename, rm, writeFile } from "node:fs/promises";
import { z } from "zod";
import { CacheError, errorText } from "../../errors.ts";
import { isStrong, type ResumablePartial } from "./resume.ts";

const schema = z.object({
  format: z.literal(1),
  /** After a power failure parts of the file may be missing in its middle: another boot starts over. */
  bootId: z.string(),
  etag: z.string().optional(),
  totalBytes: z.int().nonnegative().optional(),
});
export type PartialNotes = Readonly<z.infer<typeof schema>>;

/** What the server has said of the file; undefined as far as it has not. */
export interface PartialVersion {
  readonly etag: string | undefined;
  readonly totalBytes: number | undefined;
}

/** Undefined when there are none or they cannot be used. */
export async function readPartial(partial: string): Promise<PartialNotes | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(notesFile(partial), "utf8")));
  } catch {
    return undefined;
  }
}

/** Replaces the notes by rename. To be called before the first byte is written, when there is no older file. */
export async function writePartial(partial: string, version: PartialVersion): Promise<void> {
  const notes: z.input<typeof schema> = { format: 1, bootId: await bootId(), ...version };
  const temporary = temporaryFile(partial);
  await writeFile(temporary, `${JSON.stringify(notes)}\n`);
  await rename(temporary, notesFile(partial));
}

/** Removes the unfinished file, if it is still there under this name, and what is known of it. Throws `CacheError`. */
export async function removePartial(partial: string): Promise<void> {
  try {
    // The file goes first: without it notes do no harm, with those of another version it would.
    for (const path of [partial, notesFile(partial), temporaryFile(partial)]) await rm(path, { force: true });
  } catch (error) {
    throw new CacheError(`Cannot remove ${partial}: ${errorText(error)}`, { cause: error });
  }
}

/** What an earlier download, perhaps of another process, has left to go on with. */
export async function findResumable(partial: string): Promise<ResumablePartial | undefined> {
  const notes = await readPartial(partial);
  const file = await lstat(partial).catch(() => undefined);
  if (!notes || !file?.isFile() || notes.bootId !== (await bootId())) return undefined;
  return resumable(notes, file.size);
}

/** Undefined: it cannot be gone on with. */
export function resumable(version: Partial<PartialVersion>, sizeBytes: number): ResumablePartial | undefined {
  const { etag, totalBytes } = version;
  if (!isStrong(etag) || totalBytes === undefined) return undefined;
  return sizeBytes > 0 && sizeBytes <= totalBytes ? { etag, totalBytes, sizeBytes } : undefined;
}

function notesFile(partial: string): string {
  return `${partial}.json`;
}

function temporaryFile(partial: string): string {
  return `${partial}.json.new`;
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}
