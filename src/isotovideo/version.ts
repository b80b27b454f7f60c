// Asks isotovideo for the version of its interface, which registrations tell (protocol 2.4, 4.4).
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";

const maxOutputChars = 64 * 1024;
const askTimeoutMs = 30_000;

/** The number in "[interface vN]"; 0 if there is none. */
export function parseInterfaceVersion(output: string): number {
  return Number(/\[interface v(\d+)\]/.exec(output)?.[1] ?? 0);
}

/**
 * Interface version of the isotovideo at a path; 0 if it does not tell one, or not in time.
 * Throws the signal's reason when that is aborted meanwhile.
 */
export async function isotovideoVersion(
  path: string,
  { signal, log }: Context,
  { timeoutMs = askTimeoutMs } = {},
): Promise<number> {
  const output = await ask(path, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])).catch((error) => {
    signal.throwIfAborted();
    log.debug(`Unable to ask ${path} for its version: ${errorText(error)}`);
    return "";
  });
  return parseInterfaceVersion(output);
}

/** What `--version` prints, cut; throws the signal's reason. */
async function ask(path: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const child = Bun.spawn(["perl", path, "--version"], { stdio: ["ignore", "pipe", "ignore"] });
  const reader = child.stdout.getReader();
  // Not only the child: one of its own children may keep the pipe open.
  const end = () => void reader.cancel();
  signal.addEventListener("abort", end);
  try {
    const decoder = new TextDecoder();
    let output = "";
    while (output.length < maxOutputChars) {
      const { done, value } = await reader.read();
      if (done) break;
      output += decoder.decode(value, { stream: true });
    }
    signal.throwIfAborted();
    return output;
  } finally {
    signal.removeEventListener("abort", end);
    end();
    child.kill("SIGKILL");
    await child.exited;
  }
}
