// sharp's addon and libvips as the executable has them: compressed, and described by what they have to be afterwards.
// build/embed-sharp.ts puts them there.

export interface EmbeddedFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** In hex. */
  readonly sha256: string;
  /** Path of its content, compressed with zstd. */
  readonly packed: string;
}

export interface EmbeddedLibrary {
  /** Names this very content: no other one has the same. */
  readonly id: string;
  readonly libvips: EmbeddedFile;
  readonly addon: EmbeddedFile;
}

/** Of any content, in the form of `EmbeddedLibrary.id`. */
export const libraryIdPattern = "sharp-linux-(?:x64|arm64)-[0-9a-f]{16}";

export async function unpack({ packed }: EmbeddedFile): Promise<Uint8Array> {
  return await Bun.zstdDecompress(await Bun.file(packed).bytes());
}
