// Uploads that belong together: the first that fails keeps those back that have not begun.
import { allEnded } from "../abortable.ts";
import type { Context } from "../context.ts";
import type { Lanes } from "./lanes.ts";

export interface Upload {
  readonly name: string;
  /** Of its kind and name: what was delivered is remembered by it. */
  readonly key: string;
  /** Whether there was something to upload. */
  readonly upload: (context: Context) => Promise<boolean>;
}

export interface UploadFailure {
  readonly name: string;
  readonly error: Error;
}

export interface UploadSteps {
  readonly isDelivered: (key: string) => boolean;
  readonly announce: (name: string) => Promise<void>;
  /** Called when an upload is on its way, or needs none. */
  readonly onBegun: () => void;
  readonly noteDelivered: (key: string) => void;
}

/** Resolves with what failed first. Throws the signal's reason when aborted. */
export async function uploadGroup(
  uploads: readonly Upload[],
  lanes: Lanes,
  { isDelivered, announce, onBegun, noteDelivered }: UploadSteps,
  { signal, log }: Context,
): Promise<UploadFailure | undefined> {
  let failure: UploadFailure | undefined;
  const uploadOne = async ({ name, key, upload }: Upload) => {
    signal.throwIfAborted();
    if (failure) return;
    if (isDelivered(key)) return onBegun();
    try {
      await announce(name);
      onBegun();
      await upload({ signal, log });
      noteDelivered(key);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= { name, error: error instanceof Error ? error : new Error(String(error)) };
      log.error(`Error uploading ${name}: ${failure.error.message}`);
    }
  };
  await allEnded(uploads.map((each) => lanes.run(() => uploadOne(each))));
  return failure;
}
