// Reading an open file piece by piece, for uploads: memory is bounded whatever the file's size.
import { read as readCallback } from "node:fs";
import { promisify } from "node:util";
import { errorText, UnreadablePartError } from "../errors.ts";

const read = promisify(readCallback);

/**
 * The bytes of a file from `start` to `end`, in pieces of up to `pieceBytes`. Each piece is valid until the next is asked
 * for. Throws `UnreadablePartError`, also when the file has become shorter.
 */
export async function* filePieces(
  fd: number,
  { start, end, pieceBytes }: { readonly start: number; readonly end: number; readonly pieceBytes: number },
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const memory = new Uint8Array(Math.min(pieceBytes, end - start));
  for (let at = start; at < end; ) {
    const { bytesRead } = await read(fd, memory, 0, Math.min(pieceBytes, end - at), at).catch(
      (error: unknown) => {
        throw new UnreadablePartError(`Unable to read file: ${errorText(error)}`, { cause: error });
      },
    );
    if (bytesRead === 0) throw new UnreadablePartError(`File has only ${at} bytes, expected ${end}`);
    yield memory.subarray(0, bytesRead);
    at += bytesRead;
  }
}
