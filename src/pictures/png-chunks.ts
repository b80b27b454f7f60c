// The chunks of a PNG file: taken apart with every length and checksum checked, and put together. Knows nothing of what
// is in them.
import { crc32 } from "node:zlib";

export interface PngChunk {
  /** Four letters. */
  readonly type: string;
  readonly content: Uint8Array;
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Length and type before the content, checksum after it. */
const frameBytes = 12;
/** A picture has a handful; one that is cut into more is left alone. */
const maxChunks = 65_536;

/** All chunks of a file, or what is wrong with it. Checks no order; what comes after IEND is wrong. */
export function readChunks(file: Uint8Array): readonly PngChunk[] | { readonly fault: string } {
  if (!signature.equals(file.subarray(0, signature.length))) return { fault: "it is no PNG" };
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const chunks: PngChunk[] = [];
  for (let at = signature.length; at < file.length; ) {
    if (at + frameBytes > file.length) return { fault: "it is cut off" };
    const end = at + frameBytes + view.getUint32(at);
    if (end > file.length) return { fault: "it is cut off" };
    const type = Buffer.from(file.subarray(at + 4, at + 8)).toString("latin1");
    if (crc32(file.subarray(at + 4, end - 4)) !== view.getUint32(end - 4))
      return { fault: `the checksum of a chunk ${JSON.stringify(type)} is wrong` };
    chunks.push({ type, content: file.subarray(at + 8, end - 4) });
    if (chunks.length > maxChunks) return { fault: `it has more than ${maxChunks} chunks` };
    if (type === "IEND") return end === file.length ? chunks : { fault: "something follows its end" };
    at = end;
  }
  return { fault: "it has no end" };
}

export function writeChunks(chunks: readonly PngChunk[]): Buffer {
  return Buffer.concat([signature, ...chunks.flatMap(framed)]);
}

function framed({ type, content }: PngChunk): Uint8Array[] {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(content.length);
  head.write(type, 4, "latin1");
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(content, crc32(head.subarray(4))));
  return [head, content, checksum];
}
