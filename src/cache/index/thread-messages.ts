// What the worker thread of the index and the rest of the program say to each other.
import type { LogLevel } from "../../ops/log.ts";
import type { CacheFolder } from "../cache-folder.ts";

/** An asset as the index has it. */
export interface IndexRow {
  /** Absolute path. */
  readonly path: string;
  /** With its quotes. */
  readonly etag: string | undefined;
  readonly sizeBytes: number;
  /** Unix seconds. */
  readonly lastUse: number;
  /** A stock cache service has begun to fetch it and has not come to the end. */
  readonly isPending: boolean;
}

export type StoredAsset = Pick<IndexRow, "path" | "etag" | "sizeBytes">;

export type IndexCall =
  | { readonly kind: "row"; readonly path: string }
  | { readonly kind: "rows" }
  | { readonly kind: "store"; readonly asset: StoredAsset }
  | { readonly kind: "touch"; readonly path: string }
  | { readonly kind: "remove"; readonly path: string };

export type ToThread =
  /** The first message. */
  | { readonly kind: "open"; readonly folder: CacheFolder; readonly waitMs: number }
  | { readonly kind: "call"; readonly id: number; readonly call: IndexCall }
  /** The last message: what is not done is given up. */
  | { readonly kind: "close" };

export type FromThread =
  /** Calls that only write answer with no rows. */
  | { readonly kind: "done"; readonly id: number; readonly rows: readonly IndexRow[] }
  /** The text of a `CacheError`. */
  | { readonly kind: "failed"; readonly id: number; readonly text: string }
  | { readonly kind: "log"; readonly level: LogLevel; readonly text: string };
