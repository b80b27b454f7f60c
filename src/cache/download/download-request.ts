// What a download is asked for, and what it comes to. Types only.
import type { Credentials, OwnSettings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import type { FinishedFile } from "./partial-writer.ts";

export interface DownloadRequest {
  readonly url: URL;
  /** Each request is signed anew; on other hosts that the URL redirects to none is. */
  readonly credentials: Credentials | undefined;
  /** Of the complete copy that there is. */
  readonly etag: string | undefined;
  /**
   * Absolute path of the unfinished file; beside it lies what is known of it, which `removePartial` removes. Only one
   * download at a time may use it.
   */
  readonly partial: string;
  /**
   * Called in each try when it is known how many bytes are still to be written (0 if the server does not say), before
   * any is. Throws when there is no room.
   */
  readonly makeRoom: (sizeBytes: number, context: Context) => Promise<void>;
  /** In a row that get no further, the first included. */
  readonly tries: number;
  readonly timing: Pick<
    OwnSettings["cache"],
    "retryDelayMs" | "maxRetryDelayMs" | "minBytesPerWindow" | "rateWindowMs"
  > & { readonly answerMs: number };
  /** Called ten times a second at most, and in the end. */
  readonly onProgress?: (progress: { receivedBytes: number; totalBytes: number | undefined }) => void;
}

export type Downloaded =
  /** The copy that there is, is current; nothing is at `partial`. */
  | { readonly kind: "unchanged" }
  /** The file at `partial` is complete and flushed. */
  | ({ readonly kind: "fetched"; readonly etag: string | undefined } & FinishedFile);
