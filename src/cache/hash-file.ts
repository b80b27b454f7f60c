// SHA-256 of files, read in pieces so that neither memory nor the event loop notices their size.
import { type FileHandle, open } from "node:fs/promises";
import type { Context } from "../context.ts";
import { CacheError, errorText } from "../errors.ts";

/** Read at once. */
const pieceBytes = 1024 * 1024;

/** Of a whole file, in hex. Throws `CacheError` when it cannot be read. */
export async function hashFile(path: string, context: Context): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  try {
    await using file = await open(path);
    await hashStart(file, Number.POSITIVE_INFINITY, hasher, context);
    return hasher.digest("hex");
  } catch (error) {
    context.signal.throwIfAborted();
    throw new CacheError(`Cannot read "${path}" to check its content: ${errorText(error)}`, { cause: error });
  }
}

/** Adds the first bytes of a file to a hash. Resolves with how many there were. */
export async function hashStart(
  file: FileHandle,
  sizeBytes: number,
  hasher: Bun.CryptoHasher,
  { signal }: Context,
): Promise<number> {
  const piece = Buffer.allocUnsafe(pieceBytes);
  let at = 0;
  while (at < sizeBytes) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(piece, 0, Math.min(pieceBytes, sizeBytes - at), at);
    if (bytesRead === 0) break;
    hasher.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
  return at;
}
