// The library unpacked in a folder of the user's, for all processes of this and later starts. An entry gets its name
// when it is complete, so processes that unpack at the same time do not disturb each other.
import { constants } from "node:fs";
import { access, lstat, mkdir, open, readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { removeEntries } from "../../ops/remove-entries.ts";
import { type EmbeddedFile, type EmbeddedLibrary, libraryIdPattern, unpack } from "./embedded-library.ts";
import { type OpenLibrary, openLibrary } from "./open-library.ts";
import { folderPath, openPrivateFolder } from "./private-folder.ts";

/** Younger ones may be in the making, or of a version that is used beside this one. */
const maxAgeOfOthersMs = 60 * 60 * 1000;
/** What this program makes there: complete, or temporary. */
const ownEntry = new RegExp(`^(?:${libraryIdPattern}|\\.${libraryIdPattern}\\.[0-9a-f-]{36})$`);
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, X_OK } = constants;

/** Unpacks it when it is not there yet, or damaged. Throws when the folder cannot be used. */
export async function openInFolder(path: string, library: EmbeddedLibrary): Promise<OpenLibrary> {
  await using folder = await openPrivateFolder(path);
  const base = folderPath(folder);
  // Whatever is wrong with what is there, it is made again.
  const found = await openUnpacked(join(base, library.id), library).catch(() => undefined);
  if (found) return found;
  await removeDamaged(base, library);
  return await unpackInto(base, library);
}

async function openUnpacked(folder: string, library: EmbeddedLibrary): Promise<OpenLibrary> {
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  return await openLibrary(library, ({ name }) => open(join(folder, name), flags));
}

/** By another name first: who looks at it meanwhile sees all of it or nothing. */
async function removeDamaged(base: string, library: EmbeddedLibrary): Promise<void> {
  const aside = temporaryName(library);
  await rename(join(base, library.id), join(base, aside)).catch(unlessCode("ENOENT"));
  await removeEntries(base, [aside]);
}

async function unpackInto(base: string, library: EmbeddedLibrary): Promise<OpenLibrary> {
  const unfinished = temporaryName(library);
  const folder = join(base, unfinished);
  try {
    await mkdir(folder, { mode: 0o700 });
    await unpackFile(folder, library.addon);
    await access(join(folder, library.addon.name), X_OK).catch(() => {
      throw new Error("it is mounted noexec");
    });
    await unpackFile(folder, library.libvips);
    await using opening = new AsyncDisposableStack();
    const opened = opening.use(await openUnpacked(folder, library));
    // Another process may have been faster; its content is the same.
    await rename(folder, join(base, library.id)).catch(unlessCode("ENOTEMPTY", "EEXIST"));
    opening.move();
    return opened;
  } finally {
    await removeEntries(base, [unfinished]);
    // What cannot be removed now is seen again by the next one that unpacks.
    await removeOthers(base, library).catch(() => undefined);
  }
}

async function unpackFile(folder: string, file: EmbeddedFile): Promise<void> {
  await writeFile(join(folder, file.name), await unpack(file), { mode: 0o700, flag: "wx" });
}

/** What was unpacked by other versions, or not to the end, some time ago. */
async function removeOthers(base: string, { id }: EmbeddedLibrary): Promise<void> {
  for (const name of await readdir(base)) {
    if (!ownEntry.test(name) || name === id) continue;
    const { uid, mtimeMs } = await lstat(join(base, name));
    if (uid === process.geteuid?.() && Date.now() - mtimeMs > maxAgeOfOthersMs)
      await removeEntries(base, [name]);
  }
}

function temporaryName({ id }: EmbeddedLibrary): string {
  return `.${id}.${crypto.randomUUID()}`;
}

function unlessCode(...expected: string[]): (error: unknown) => void {
  return (error) => {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (typeof code !== "string" || !expected.includes(code)) throw error;
  };
}
