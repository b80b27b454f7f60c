// Runs a program to its end, in a session of its own. Its output goes to a file that has no name any more: a pipe would
// stay open for as long as anything that the program leaves running.
import type { FileHandle } from "node:fs/promises";
import { abortable } from "../abortable.ts";
import { openNameless } from "../ops/nameless-file.ts";
import { sleep } from "../sleep.ts";
import { descendantsOf } from "./process-list.ts";
import { type Selection, sweep } from "./sweep.ts";

/** From TERM to KILL when it is not wanted any more, or hangs. */
const graceMs = 5000;
/** A program that is silent for too long is noticed by a twentieth of that time later. */
const looksPerSilence = 20;

export interface ProgramCall {
  readonly program: string;
  readonly flags: readonly string[];
  readonly directory: string;
  /** All of it. It has to mark what is started (`jobMark`). */
  readonly environment: Readonly<Record<string, string>>;
  /** Where its output is put; nothing is left in it. */
  readonly outputFolder: string;
  /** Of more output only the end is kept. */
  readonly maxOutputBytes: number;
  /** Gets the output when the program has ended, however: also when it was aborted. */
  readonly onOutput: (text: string) => void;
  /** What it writes to stderr goes where this worker's goes. Default: it is output. */
  readonly inheritsErrors?: true;
  /** When it writes nothing for so long, it hangs and is ended. Default: it never does. */
  readonly maxSilenceMs?: number;
}

export type ProgramEnd =
  | { readonly kind: "exited"; readonly exitCode: number }
  | { readonly kind: "killed"; readonly signal: string }
  | { readonly kind: "hung" }
  /** `code`: ENOENT when there is no such program. */
  | { readonly kind: "not started"; readonly code: string | undefined; readonly message: string };

/**
 * Resolves when the program has ended; what it leaves running goes on. Throws the signal's reason when that is aborted:
 * then it has been ended with all below it and all of its session.
 */
export async function runProgram(call: ProgramCall, signal: AbortSignal): Promise<ProgramEnd> {
  signal.throwIfAborted();
  await using output = await openNameless(call.outputFolder);
  try {
    return await runToEnd(call, output, signal);
  } finally {
    call.onOutput(await endOf(output, call.maxOutputBytes));
  }
}

async function runToEnd(call: ProgramCall, output: FileHandle, signal: AbortSignal): Promise<ProgramEnd> {
  const { execa } = await import("execa");
  // Only execa's types end at 9.
  const descriptor = output.fd as 9;
  const running = execa(call.program, call.flags, {
    cwd: call.directory,
    env: call.environment,
    extendEnv: false,
    stdio: ["ignore", descriptor, call.inheritsErrors ? "inherit" : descriptor],
    reject: false,
    detached: true,
    cleanup: false,
  });
  const watching = new AbortController();
  let hasEnded = false;
  const ended = running.then((result): ProgramEnd => {
    hasEnded = true;
    if (result.exitCode !== undefined) return { kind: "exited", exitCode: result.exitCode };
    if (result.signal !== undefined) return { kind: "killed", signal: result.signal };
    return { kind: "not started", code: result.code, message: result.originalMessage ?? "" };
  });
  const ends = [ended];
  const { maxSilenceMs } = call;
  if (maxSilenceMs !== undefined) ends.push(silence(output, maxSilenceMs, watching.signal));
  try {
    return await abortable(Promise.race(ends), signal);
  } finally {
    watching.abort();
    if (!hasEnded) await sweep(sessionOf(running.pid), { graceMs });
  }
}

/** Resolves when nothing has been written for so long. Sizes are compared: the clock of a file may be set. */
async function silence(output: FileHandle, maxSilenceMs: number, signal: AbortSignal): Promise<ProgramEnd> {
  let sizeBytes = 0;
  let lastGrowthMs = performance.now();
  while (performance.now() - lastGrowthMs < maxSilenceMs) {
    await sleep(maxSilenceMs / looksPerSilence, signal);
    const { size } = await output.stat();
    if (size === sizeBytes) continue;
    sizeBytes = size;
    lastGrowthMs = performance.now();
  }
  return { kind: "hung" };
}

/** All of a process's session and all below these, itself included; whoever was found once stays in it. */
function sessionOf(leader: number | undefined): Selection {
  const found = new Map<number, string>();
  return (all) => {
    const known = all.filter(
      ({ pid, sessionId, startTicks }) => sessionId === leader || found.get(pid) === startTicks,
    );
    const pids = known.map(({ pid }) => pid);
    const selected = [...known, ...descendantsOf(pids, all)];
    for (const { pid, startTicks } of selected) found.set(pid, startTicks);
    return selected;
  };
}

async function endOf(file: FileHandle, maxBytes: number): Promise<string> {
  const { size } = await file.stat();
  const start = Math.max(0, size - maxBytes);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
  return buffer.toString("utf8", 0, bytesRead);
}
