// One run of rsync and how it ended, in words.
import type { Context } from "../../context.ts";
import { CacheError, errorText } from "../../errors.ts";
import { type ProgramEnd, runProgram } from "../../process/run-program.ts";

export interface RsyncRun {
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Where its output is put for as long as it runs. */
  readonly outputFolder: string;
  /** Of more output only the end is kept. */
  readonly maxOutputBytes: number;
  /** When it writes nothing for so long, it is ended. */
  readonly maxSilenceMs: number;
}

export interface RsyncEnd {
  /** Undefined when it did not exit by itself. */
  readonly exitCode: number | undefined;
  /** Why it failed; undefined: it has not. */
  readonly problem: string | undefined;
  /** No repetition helps: there is no rsync. */
  readonly isMissing: boolean;
  /** Without its progress. */
  readonly output: string;
}

export const rsyncIsMissing = "rsync is not installed (install the package rsync)";

/** Logs its output. Throws the signal's reason when that is aborted: rsync is ended then; else `CacheError`. */
export async function runRsync(run: RsyncRun, { signal, log }: Context): Promise<RsyncEnd> {
  let output = "";
  const call = {
    ...run,
    program: "rsync",
    // A relative source never means a folder of this worker's.
    directory: "/",
    environment: { ...run.environment, LC_ALL: "C" },
    onOutput: (text: string) => {
      output = withoutProgress(text);
      if (output !== "") log.info(`Output of rsync:\n${output}`);
    },
  };
  const end = await runProgram(call, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new CacheError(`Failed to rsync tests: ${errorText(error)}`, { cause: error });
  });
  return {
    exitCode: end.kind === "exited" ? end.exitCode : undefined,
    problem: problemOf(end, run.maxSilenceMs),
    isMissing: isMissing(end),
    output,
  };
}

/** Of lines that were written over one another only what was written last; the end is trimmed. */
function withoutProgress(text: string): string {
  return text.replace(/[^\n\r]*\r(?!\n)/g, "").trimEnd();
}

function problemOf(end: ProgramEnd, maxSilenceMs: number): string | undefined {
  if (isMissing(end)) return rsyncIsMissing;
  switch (end.kind) {
    case "exited":
      return end.exitCode === 0 ? undefined : `exit code ${end.exitCode}`;
    case "killed":
      return `rsync was killed by signal ${end.signal}`;
    case "hung":
      return `rsync wrote nothing for ${maxSilenceMs / 1000} s and was ended`;
    case "not started":
      return `rsync cannot be started: ${end.message}`;
  }
}

function isMissing(end: ProgramEnd): boolean {
  return end.kind === "not started" && end.code === "ENOENT";
}
