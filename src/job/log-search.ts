// Looks for known failures in autoinst-log.txt, whatever its size: by lines, in bounded memory and linear time.
import { basename, dirname } from "node:path";
import { openInside, type PoolFile, readAt } from "../results/pool-file.ts";

/** What the reason text needs of a log (protocol 8.3 no. 7, 8). */
export interface LogFindings {
  readonly isDiskFull: boolean;
  /** Text of the first line that says why QEMU could not run. */
  readonly qemuFailure?: string;
}

export const nothingFound: LogFindings = { isDiskFull: false };

const chunkBytes = 256 * 1024;
/** Of longer lines only the beginning is looked at. */
const maxLineChars = 64 * 1024;
/** Of longer logs only the end is looked at: what broke a job stands there. */
const maxSearchedBytes = 256 * 1024 * 1024;

/** A log that is not there, or is no regular file, says nothing. */
export async function searchLog(path: string, signal: AbortSignal): Promise<LogFindings> {
  await using file = await openInside(dirname(path), basename(path)).catch(() => undefined);
  if (file === undefined) return nothingFound;
  let found = nothingFound;
  for await (const line of linesOf(file, signal)) {
    const qemuFailure = found.qemuFailure ?? qemuFailureIn(line);
    found = {
      isDiskFull: found.isDiskFull || line.includes("No space left on device"),
      ...(qemuFailure !== undefined && { qemuFailure }),
    };
  }
  return found;
}

/** The part of a line that is the failure. */
export function qemuFailureIn(line: string): string | undefined {
  const failures = [
    between(line, "Failed to allocate KVM ", " Cannot allocate memory"),
    between(line, "Could not find ", "please install it", "smbd"),
  ];
  return failures.filter((failure) => failure !== undefined).sort((a, b) => a.at - b.at)[0]?.text;
}

/** From the first beginning to the last end; no regular expression, as lines could be made to keep one busy. */
function between(
  line: string,
  beginning: string,
  end: string,
  over = "",
): { at: number; text: string } | undefined {
  const at = line.indexOf(beginning);
  const endsAt = line.lastIndexOf(end);
  if (at < 0 || endsAt < at + beginning.length) return undefined;
  if (!line.slice(at + beginning.length, endsAt).includes(over)) return undefined;
  return { at, text: line.slice(at, endsAt + end.length) };
}

async function* linesOf(file: PoolFile, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  const start = Math.max(0, file.sizeBytes - maxSearchedBytes);
  for (let offset = start; offset < file.sizeBytes; offset += chunkBytes) {
    signal.throwIfAborted();
    const chunk = await readAt(file, offset, Math.min(chunkBytes, file.sizeBytes - offset));
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    lines[0] = (rest + lines[0]).slice(0, maxLineChars);
    rest = lines.pop() ?? "";
    yield* lines;
  }
  yield rest;
}
