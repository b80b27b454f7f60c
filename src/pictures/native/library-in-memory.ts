// The library in files that are in memory only: for hosts on which no folder can take it. Every process has its own.
import { close } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { promisify } from "node:util";
import { createMemoryFile } from "../../process/libc.ts";
import { type EmbeddedFile, type EmbeddedLibrary, unpack } from "./embedded-library.ts";
import { type OpenLibrary, openLibrary } from "./open-library.ts";

export async function openInMemory(library: EmbeddedLibrary): Promise<OpenLibrary> {
  return await openLibrary(library, unpackInMemory);
}

async function unpackInMemory(packed: EmbeddedFile): Promise<FileHandle> {
  const fd = createMemoryFile(packed.name);
  const file = await open(`/proc/self/fd/${fd}`, "r+").finally(() => promisify(close)(fd));
  await file.chmod(0o600);
  await file.writeFile(await unpack(packed));
  return file;
}
