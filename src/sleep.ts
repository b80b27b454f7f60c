// The one way to wait for time to pass.
import { setTimeout as elapse } from "node:timers/promises";

/** Waits. Throws the signal's reason as soon as that is aborted. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await elapse(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
