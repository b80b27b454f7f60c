// Client of isotovideo's command server, as far as the worker itself calls it (protocol 4.5).
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";

const announceTimeoutMs = 10_000;

/**
 * Tells open developer sessions that the test execution is being stopped. `url` is the command server's with the job
 * token. Failures do not matter. Resolves when it is told, or not any more possible.
 */
export async function announceStop(
  url: string,
  reason: string,
  { signal, log }: Context,
  { timeoutMs = announceTimeoutMs } = {},
): Promise<void> {
  try {
    const answer = await fetch(`${url}/broadcast`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ stopping_test_execution: reason }),
      redirect: "error",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await answer.body?.cancel();
    if (!answer.ok) log.debug(`Unable to announce the stop on the command server: ${answer.status} response`);
  } catch (error) {
    log.debug(`Unable to announce the stop on the command server: ${errorText(error)}`);
  }
}
