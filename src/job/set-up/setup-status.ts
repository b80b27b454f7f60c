// Tells the web UI that a job is being set up, for as long as that takes (protocol 4): it must not take the job for dead.
import type { Context } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { sleep } from "../../sleep.ts";
import { postSetup } from "../../webui/jobs-api.ts";
import type { WebUi } from "../../webui/web-ui.ts";

/** A set-up that takes no longer is not worth a request. */
const firstDelayMs = 1000;
const intervalMs = 5000;

/** Does the work, and posts the status meanwhile. What the web UI answers changes nothing. */
export async function tellingSetUp<T>(
  webUi: WebUi,
  jobId: string,
  context: Context,
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, over.signal]);
  const telling = tell(webUi, jobId, { ...context, signal });
  try {
    return await work();
  } finally {
    over.abort();
    await telling;
  }
}

/** Until the signal is aborted; never throws. */
async function tell(webUi: WebUi, jobId: string, context: Context): Promise<void> {
  for (let delayMs = firstDelayMs; !context.signal.aborted; delayMs = intervalMs)
    try {
      await sleep(delayMs, context.signal);
      await postSetup(webUi, jobId, context);
    } catch (error) {
      if (!context.signal.aborted) context.log.debug(`Unable to tell the set-up: ${errorText(error)}`);
    }
}
