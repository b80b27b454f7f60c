// Runs a program that is no part of a job: for a bounded time, and marked so that the end of a job leaves it alone.
import { tmpdir } from "node:os";
import type { Program } from "../context.ts";
import { jobMark } from "../isotovideo/pool-state.ts";
import { childEnvironment } from "../process/child-environment.ts";
import { type ProgramCall, type ProgramEnd, runProgram } from "../process/run-program.ts";

export interface HostCommand extends Pick<ProgramCall, "program" | "flags" | "inheritsErrors"> {
  /** Default: the root directory. */
  readonly directory?: string;
  /** Beside what the worker has. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly maxMs: number;
  /** Of more output only the end is kept. */
  readonly maxOutputBytes: number;
}

export interface HostCommandEnd {
  readonly output: string;
  readonly isMissing: boolean;
  /** Why it did not succeed; undefined: it did. */
  readonly problem: string | undefined;
}

/** Throws the signal's reason when that is aborted: then it has been ended. */
export async function runHostCommand(
  command: HostCommand,
  program: Pick<Program, "env">,
  signal: AbortSignal,
): Promise<HostCommandEnd> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), command.maxMs);
  let output = "";
  const call = {
    directory: "/",
    ...command,
    environment: {
      ...childEnvironment(program),
      ...command.environment,
      ...jobMark("host", command.program),
    },
    outputFolder: tmpdir(),
    onOutput: (text: string) => {
      output = text;
    },
  };
  try {
    const end = await runProgram(call, AbortSignal.any([signal, late.signal]));
    const isMissing = end.kind === "not started" && end.code === "ENOENT";
    return { output, isMissing, problem: problemOf(end) };
  } catch (error) {
    signal.throwIfAborted();
    if (!late.signal.aborted) throw error;
    return { output, isMissing: false, problem: `no end within ${command.maxMs / 1000} s` };
  } finally {
    clearTimeout(timer);
  }
}

function problemOf(end: ProgramEnd): string | undefined {
  switch (end.kind) {
    case "exited":
      return end.exitCode === 0 ? undefined : `exit code ${end.exitCode}`;
    case "killed":
      return `killed by signal ${end.signal}`;
    case "hung":
      return "it hangs";
    case "not started":
      return end.message;
  }
}
