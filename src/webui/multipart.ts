// Bodies of multipart/form-data, written here because memory has to stay bounded for files of any size and the length
// known in advance: FormData reads a whole file into memory, a Blob made of parts loses the bytes of files.
import { filePieces } from "./file-pieces.ts";
import type { FilePart, FormPart, MadePart } from "./web-ui.ts";

/** Bodies up to this size are sent from one buffer, bigger ones as a stream. */
export const maxBufferedBodyBytes = 1024 * 1024;
/** Most that is read or handed over at once. */
const pieceBytes = 256 * 1024;

export interface FormBody {
  readonly contentType: string;
  readonly sizeBytes: number;
  /** The bytes from the start, in pieces, each valid until the next is asked for; throws `UnreadablePartError`. */
  pieces(): AsyncGenerator<Uint8Array<ArrayBuffer>>;
}

export function formBody(parts: readonly FormPart[], boundary = `openqa-${crypto.randomUUID()}`): FormBody {
  const segments = [...parts.flatMap((part) => partSegments(part, boundary)), encode(`--${boundary}--\r\n`)];
  const sizeBytes = segments.reduce((sum, segment) => sum + segmentBytes(segment), 0);
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    sizeBytes,
    async *pieces() {
      for (const segment of segments) yield* segmentPieces(segment);
    },
  };
}

type Segment = Uint8Array | FilePart | MadePart;

function partSegments(part: FormPart, boundary: string): Segment[] {
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(part.name)}"`;
  if ("value" in part) return [encode(`${head}\r\n\r\n${part.value}\r\n`)];
  const type = "Content-Type: application/octet-stream";
  return [
    encode(`${head}; filename="${escapeName(part.fileName)}"\r\n${type}\r\n\r\n`),
    part.content,
    encode("\r\n"),
  ];
}

/** As browsers do it: a name can end neither its quotes nor its line. */
function escapeName(name: string): string {
  return name.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function segmentBytes(segment: Segment): number {
  return segment instanceof Uint8Array ? segment.byteLength : segment.sizeBytes;
}

function segmentPieces(segment: Segment) {
  if (segment instanceof Uint8Array) return slices(segment);
  if ("pieces" in segment) return segment.pieces();
  return filePieces(segment.fd, { start: 0, end: segment.sizeBytes, pieceBytes });
}

function* slices(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.byteLength; at += pieceBytes) yield bytes.slice(at, at + pieceBytes);
}
