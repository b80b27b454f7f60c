// The host's own command that fetches assets before they are looked for (SYNC_ASSETS_HOOK, protocol 4.1 step 5).
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "../../context.ts";
import { jobMark, stateFolder } from "../../isotovideo/pool-state.ts";
import { type ProgramEnd, runProgram } from "../../process/run-program.ts";

/** Of the output only the end is logged. */
const maxLoggedBytes = 64 * 1024;

export interface HookCall {
  /** For the shell. */
  readonly command: string;
  readonly poolDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Resolves when the command has ended, however. Throws the signal's reason when aborted; the command is ended then. */
export async function runSyncAssetsHook(call: HookCall, { signal, log }: Context): Promise<void> {
  signal.throwIfAborted();
  log.debug("Running SYNC_ASSETS_HOOK");
  const { command, poolDirectory } = call;
  const outputFolder = join(poolDirectory, stateFolder);
  await mkdir(outputFolder, { recursive: true, mode: 0o700 });
  const end = await runProgram(
    {
      program: "/bin/sh",
      flags: ["-c", command],
      directory: poolDirectory,
      environment: { ...call.environment, ...jobMark(poolDirectory, "sync-assets-hook") },
      outputFolder,
      maxOutputBytes: maxLoggedBytes,
      onOutput: (text) => {
        if (text.trim() !== "") log.info(`Output of SYNC_ASSETS_HOOK:\n${text.trimEnd()}`);
      },
    },
    signal,
  );
  if (end.kind !== "exited" || end.exitCode !== 0)
    log.warn(`SYNC_ASSETS_HOOK has failed with ${endText(end)}`);
}

function endText(end: ProgramEnd): string {
  if (end.kind === "exited") return `exit code ${end.exitCode}`;
  return end.kind === "killed" ? `signal ${end.signal}` : "exit code unknown";
}
