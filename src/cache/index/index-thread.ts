// Entry of the worker thread that has the index: whatever waits for SQLite, waits here.
import { CacheError, errorText } from "../../errors.ts";
import { Logger } from "../../ops/log.ts";
import { DurableIndex } from "./durable-index.ts";
import type { FromThread, ToThread } from "./thread-messages.ts";

declare const self: Worker;

const closing = new AbortController();
const log = new Logger([({ level, text }) => tell({ kind: "log", level, text })]);
let index: DurableIndex | undefined;
/** Calls are done one after the other; it never rejects. */
let work = Promise.resolve();

self.addEventListener("message", ({ data }: MessageEvent<ToThread>) => {
  if (data.kind === "close") closing.abort(new CacheError("The index has been closed"));
  work = work.then(() => take(data));
});

async function take(message: ToThread): Promise<void> {
  switch (message.kind) {
    case "open":
      index = new DurableIndex(message.folder, message.waitMs);
      return;
    case "call":
      return await answer(message);
    case "close":
      index?.[Symbol.dispose]();
      process.exit();
  }
}

async function answer({ id, call }: Extract<ToThread, { kind: "call" }>): Promise<void> {
  try {
    closing.signal.throwIfAborted();
    const rows = (await index?.perform(call, { signal: closing.signal, log })) ?? [];
    tell({ kind: "done", id, rows });
  } catch (error) {
    tell({ kind: "failed", id, text: errorText(error) });
  }
}

function tell(message: FromThread): void {
  self.postMessage(message);
}
