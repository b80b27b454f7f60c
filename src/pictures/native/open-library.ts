// The library as two open files. It is checked and loaded by their descriptors: what has been checked is what is
// loaded, whoever renames or removes the files meanwhile.
import type { FileHandle } from "node:fs/promises";
import type { EmbeddedFile, EmbeddedLibrary } from "./embedded-library.ts";
import { checkPrivate } from "./private-folder.ts";

export interface OpenLibrary extends AsyncDisposable {
  readonly libvips: FileHandle;
  readonly addon: FileHandle;
}

/** Read at once. */
const pieceBytes = 4 * 1024 * 1024;

/** Throws what `openFile` throws, and when a file has another content than it has to or somebody else could change it. */
export async function openLibrary(
  library: EmbeddedLibrary,
  openFile: (file: EmbeddedFile) => Promise<FileHandle>,
): Promise<OpenLibrary> {
  await using opening = new AsyncDisposableStack();
  const openIntact = async (file: EmbeddedFile) => {
    const handle = opening.use(await openFile(file));
    await checkIntact(handle, file);
    return handle;
  };
  const libvips = await openIntact(library.libvips);
  const addon = await openIntact(library.addon);
  const opened = opening.move();
  return { libvips, addon, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function checkIntact(handle: FileHandle, { name, sizeBytes, sha256 }: EmbeddedFile): Promise<void> {
  const stats = await handle.stat();
  checkPrivate(name, stats);
  if (stats.size !== sizeBytes) throw new Error(`${name} has ${stats.size} bytes, expected ${sizeBytes}`);
  const hasher = new Bun.CryptoHasher("sha256");
  const piece = Buffer.allocUnsafe(pieceBytes);
  for (let at = 0; at < sizeBytes; ) {
    const { bytesRead } = await handle.read(piece, 0, pieceBytes, at);
    if (bytesRead === 0) break;
    hasher.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
  if (hasher.digest("hex") !== sha256)
    throw new Error(`${name} has not the content that it was unpacked with`);
}
