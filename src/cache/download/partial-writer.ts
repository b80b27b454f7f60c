// The unfinished file while bytes come in: hashed on the way and written by the thread pool, so that a slow disk keeps
// nobody but this download waiting, in bounded memory.
import { constants, type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { abortable } from "../../abortable.ts";
import type { Context } from "../../context.ts";
import { CacheError, errorText } from "../../errors.ts";
import { byteText } from "../../ops/byte-text.ts";
import { hashStart } from "../hash-file.ts";
import {
  findResumable,
  type PartialVersion,
  removePartial,
  resumable,
  writePartial,
} from "./partial-file.ts";
import type { ResumablePartial } from "./resume.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;

/** As much waits for the write before it. */
const maxPendingBytes = 1024 * 1024;

export interface FinishedFile {
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly mtimeNs: bigint;
}

export class PartialWriter {
  /** Bytes given so far, from the start of the file on. All of them are hashed. */
  sizeBytes = 0;
  private readonly hasher = new Bun.CryptoHasher("sha256");
  private pending: Uint8Array[] = [];
  private pendingBytes = 0;
  private writtenBytes = 0;
  /** Never rejects. */
  private writing: Promise<void> | undefined;
  private failure: CacheError | undefined;

  private constructor(
    private readonly path: string,
    private readonly name: string,
    private readonly file: FileHandle,
    readonly version: PartialVersion,
  ) {}

  /** Goes on with what an earlier download has left, if that is possible; all of it is read. */
  static async reopen(path: string, name: string, context: Context): Promise<PartialWriter | undefined> {
    const found = await findResumable(path);
    if (!found) return undefined;
    let file: FileHandle | undefined;
    try {
      file = await open(path, O_RDWR | O_NOFOLLOW);
      const writer = new PartialWriter(path, name, file, found);
      writer.sizeBytes = await hashStart(file, found.sizeBytes, writer.hasher, context);
      writer.writtenBytes = writer.sizeBytes;
      return writer;
    } catch (error) {
      await file?.close();
      context.signal.throwIfAborted();
      context.log.warn(
        `Starting the download of "${name}" over: cannot go on with ${path}: ${errorText(error)}`,
      );
      return undefined;
    }
  }

  /** Replaces what there is by an empty file. Throws `CacheError`. */
  static async create(path: string, name: string, version: PartialVersion): Promise<PartialWriter> {
    try {
      await removePartial(path);
      await writePartial(path, version);
      // A new file: a write of somebody who was aborted may still be under way into the old one.
      const file = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
      return new PartialWriter(path, name, file, version);
    } catch (error) {
      throw await writeFailure(path, name, version, error);
    }
  }

  /** What the next request may go on with. To be asked when nothing is being written. */
  get resumable(): ResumablePartial | undefined {
    return resumable(this.version, this.sizeBytes);
  }

  /** Takes a piece, which must not be changed any more. A promise: no further one before it resolves. */
  write(piece: Uint8Array, { signal }: Context): Promise<void> | undefined {
    if (this.failure) throw this.failure;
    this.pending.push(piece);
    this.pendingBytes += piece.byteLength;
    this.sizeBytes += piece.byteLength;
    // First the write, which then goes on beside the hash.
    this.writing ??= this.writePending();
    this.hasher.update(piece);
    return this.pendingBytes < maxPendingBytes ? undefined : abortable(this.settle(), signal);
  }

  /** Resolves when all bytes given are in the file. Throws `CacheError`. */
  async settle(): Promise<void> {
    await this.writing;
    if (this.failure) throw this.failure;
  }

  /** Flushes the complete file. The writer is of no use afterwards. Throws `CacheError`. */
  async finish({ signal }: Context): Promise<FinishedFile> {
    await abortable(this.settle(), signal);
    try {
      await abortable(this.file.sync(), signal);
      const { size, mtimeNs } = await this.file.stat({ bigint: true });
      if (size !== BigInt(this.sizeBytes))
        throw new Error(`it has ${size} bytes instead of ${this.sizeBytes}: something else writes to it`);
      return { sizeBytes: this.sizeBytes, sha256: this.hasher.digest("hex"), mtimeNs };
    } catch (error) {
      signal.throwIfAborted();
      throw await writeFailure(this.path, this.name, this.version, error);
    }
  }

  /** Waits for nothing: a write under way comes to its end behind it. */
  close(): void {
    const close = () => this.file.close();
    void (this.writing ?? Promise.resolve()).then(close).catch(() => {});
  }

  private async writePending(): Promise<void> {
    try {
      while (this.pending.length > 0) {
        const pieces = this.pending;
        this.pending = [];
        this.pendingBytes = 0;
        await this.writeAll(pieces);
      }
    } catch (error) {
      this.failure = await writeFailure(this.path, this.name, this.version, error);
    } finally {
      this.writing = undefined;
    }
  }

  /** The system may take less at once. */
  private async writeAll(pieces: Uint8Array[]): Promise<void> {
    let left = pieces;
    while (left.length > 0) {
      const { bytesWritten } = await this.file.writev(left, this.writtenBytes);
      this.writtenBytes += bytesWritten;
      left = without(left, bytesWritten);
    }
  }
}

/** The pieces but their first bytes. */
function without(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skipped = bytes;
  return pieces.flatMap((piece) => {
    const rest = piece.subarray(Math.min(skipped, piece.byteLength));
    skipped -= piece.byteLength - rest.byteLength;
    return rest.byteLength > 0 ? [rest] : [];
  });
}

/** On a full disk the unfinished file goes: others need the room. */
async function writeFailure(path: string, name: string, version: PartialVersion, error: unknown) {
  if (error instanceof CacheError) return error;
  const isFull =
    error instanceof Error && "code" in error && ["ENOSPC", "EDQUOT"].includes(String(error.code));
  if (!isFull) return new CacheError(`Cannot write ${path}: ${errorText(error)}`, { cause: error });
  await removePartial(path).catch(() => {});
  const size = version.totalBytes === undefined ? "unknown size" : byteText(version.totalBytes);
  const text = `No space left on the disk of ${dirname(path)} for "${name}" (${size}): ${errorText(error)}`;
  return new CacheError(text, { cause: error });
}
