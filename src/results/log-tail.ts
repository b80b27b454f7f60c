// A log of the pool as viewers follow it: each piece begins where the last one ended that the server has got.
import { z } from "zod";
import { openInside, readAt } from "./pool-file.ts";

/** Bytes of a log as text: one character U+0000 to U+00FF per byte, as the server expects it (protocol 7). */
export interface LogPiece {
  readonly offset: number;
  readonly data: string;
}

export interface LogLook {
  /** Empty object: there is no such file. */
  readonly piece: LogPiece | Readonly<Record<string, never>>;
  /** To be called when the server has got the piece. */
  readonly taken: () => void;
}

const maxPieceBytes = 100_000;
/** How far a log has got to the server. */
export const logPlaceSchema = z.object({ inode: z.number().optional(), offset: z.number() });
export type LogPlace = Readonly<z.infer<typeof logPlaceSchema>>;

const start: LogPlace = { offset: 0 };

export class LogTail {
  readonly name: string;
  private readonly poolDirectory: string;
  private current: LogPlace;

  constructor(poolDirectory: string, name: string, from: LogPlace = start) {
    this.poolDirectory = poolDirectory;
    this.name = name;
    this.current = from;
  }

  get place(): LogPlace {
    return this.current;
  }

  /** What comes next, from the start again when the file was truncated or replaced. Throws `PoolFileError`. */
  async look(): Promise<LogLook> {
    await using file = await openInside(this.poolDirectory, this.name);
    if (file === undefined) return this.lookThatLeadsTo({}, start);
    const { inode, sizeBytes } = file;
    const isSameFile = inode === this.place.inode && sizeBytes >= this.place.offset;
    const offset = isSameFile ? this.place.offset : 0;
    const bytes = await readAt(file, offset, Math.min(maxPieceBytes, sizeBytes - offset));
    const piece = { offset, data: bytes.toString("latin1") };
    return this.lookThatLeadsTo(piece, { inode, offset: offset + bytes.length });
  }

  private lookThatLeadsTo(piece: LogLook["piece"], place: LogPlace): LogLook {
    const taken = () => {
      this.current = place;
    };
    return { piece, taken };
  }
}
