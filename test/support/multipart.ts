// What a server reads in uploads: multipart forms and asset chunks (Storable, network order). Written apart from
// the product, so that no mistake can be made twice and cancel out.

export interface FormEntry {
  readonly name: string;
  readonly fileName: string | undefined;
  readonly bytes: Buffer;
}

/** Parses a multipart/form-data body. Throws when it is none. */
export function readMultipart(contentType: string, body: Buffer): FormEntry[] {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (boundary === undefined) throw new Error(`No boundary in ${contentType}`);
  const delimiter = Buffer.from(`--${boundary}`);
  const entries: FormEntry[] = [];
  let start = body.indexOf(delimiter);
  while (start >= 0) {
    start += delimiter.length;
    if (body.toString("latin1", start, start + 2) === "--") return entries;
    const next = body.indexOf(Buffer.concat([Buffer.from("\r\n"), delimiter]), start);
    if (next < 0) break;
    entries.push(readPart(body.subarray(start + 2, next)));
    start = next + 2;
  }
  throw new Error("Multipart body has no end");
}

function readPart(part: Buffer): FormEntry {
  const headEnd = part.indexOf("\r\n\r\n");
  const head = part.toString("utf8", 0, headEnd);
  const name = /\bname="([^"]*)"/i.exec(head)?.[1];
  if (headEnd < 0 || name === undefined) throw new Error(`Multipart part without a name: ${head}`);
  return { name, fileName: /\bfilename="([^"]*)"/i.exec(head)?.[1], bytes: part.subarray(headEnd + 4) };
}

/** One chunk of an asset as uploaded (protocol 7). */
export type Chunk = Readonly<Record<string, string | number | undefined>>;

/** Reads the hash of an asset chunk. Throws at anything but what the protocol names. */
export function readChunk(bytes: Buffer): Chunk {
  let at = 0;
  const take = (length: number) => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  const u8 = () => take(1).readUInt8();
  const u32 = () => take(4).readUInt32BE();
  const text = (length: number) => take(length).toString("latin1");
  const value = (): string | number | undefined => {
    const kind = u8();
    if (kind === 0x0a) return text(u8());
    if (kind === 0x01) return text(u32());
    if (kind === 0x08) return u8() - 128;
    if (kind === 0x09) return take(4).readInt32BE();
    if (kind === 0x05) return undefined;
    throw new Error(`Unexpected Storable value ${kind} at ${at - 1}`);
  };
  if (u8() !== 0x05 || u8() < 0x01 || u8() !== 0x03) throw new Error("No Storable hash in network order");
  const chunk: Record<string, string | number | undefined> = {};
  for (let left = u32(); left > 0; left--) {
    const entry = value();
    chunk[text(u32())] = entry;
  }
  return chunk;
}
