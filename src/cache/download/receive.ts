// Takes in the body of an answer: into the file as fast as it comes, but no longer than it should be, and only as long
// as it comes fast enough.
import { abortable } from "../../abortable.ts";
import type { Context } from "../../context.ts";
import { byteText } from "../../ops/byte-text.ts";
import { DeadlineError } from "../../webui/deadlines.ts";
import type { DownloadRequest } from "./download-request.ts";
import type { PartialWriter } from "./partial-writer.ts";
import { RateWatch } from "./rate-watch.ts";

export interface ReceiveOptions
  extends Pick<DownloadRequest["timing"], "minBytesPerWindow" | "rateWindowMs"> {
  /** Aborted with a `DeadlineError` when too little comes. */
  readonly connection: AbortController;
  readonly onPiece: () => void;
}

/**
 * Resolves when the body has ended or is too long. However it ends: what has come is in the file, unless the context's
 * signal is aborted. Throws what reading a body throws, and `CacheError`.
 */
export async function receive(
  writer: PartialWriter,
  body: Response["body"],
  { minBytesPerWindow, rateWindowMs, connection, onPiece }: ReceiveOptions,
  context: Context,
): Promise<void> {
  const { totalBytes = Number.POSITIVE_INFINITY } = writer.version;
  const watch = new RateWatch(minBytesPerWindow, rateWindowMs, (receivedBytes) => {
    const text = `stalled: only ${byteText(receivedBytes)} within ${rateWindowMs / 1000} s`;
    connection.abort(new DeadlineError(text));
  });
  try {
    for await (const piece of body ?? []) {
      watch.note(piece.byteLength);
      const written = writer.write(piece, context);
      if (written) await watch.pausedFor(written);
      onPiece();
      if (writer.sizeBytes > totalBytes) break;
    }
  } finally {
    watch.stop();
    await abortable(writer.settle(), context.signal);
  }
}
