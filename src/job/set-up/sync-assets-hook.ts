// The host's own command that fetches assets before they are looked for (SYNC_ASSETS_HOOK, protocol 4.1 step 5).
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "../../context.ts";
import { jobMark, stateFolder } from "../../isotovideo/pool-state.ts";
import { removeEntries } from "../../ops/remove-entries.ts";
import { descendantsOf } from "../../process/process-list.ts";
import { type Selection, sweep } from "../../process/sweep.ts";
import { openInside, readAt } from "../../results/pool-file.ts";

/** From TERM to KILL when the set-up is stopped. */
const graceMs = 5000;
/** Of the output only the end is logged. */
const maxLoggedBytes = 64 * 1024;
const outputName = "sync-assets-hook.txt";

export interface HookCall {
  /** For the shell. */
  readonly command: string;
  readonly poolDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Resolves when the command has ended, however. Throws the signal's reason when aborted; the command is ended then. */
export async function runSyncAssetsHook(call: HookCall, context: Context): Promise<void> {
  const { signal, log } = context;
  signal.throwIfAborted();
  log.debug("Running SYNC_ASSETS_HOOK");
  const folder = join(call.poolDirectory, stateFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await removeEntries(folder, [outputName]);
  try {
    const exitCode = await runToEnd(call, join(folder, outputName), signal);
    if (exitCode !== 0) log.warn(`SYNC_ASSETS_HOOK has failed with exit code ${exitCode ?? "unknown"}`);
  } finally {
    await logOutput(folder, context);
    await removeEntries(folder, [outputName]);
  }
  signal.throwIfAborted();
}

/** Exit code; undefined when it could not be run or was ended by a signal. */
async function runToEnd(
  { command, poolDirectory, environment }: HookCall,
  outputPath: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { execa } = await import("execa");
  // Output to a file: a pipe would stay open for as long as anything that the command leaves running.
  const hook = execa("/bin/sh", ["-c", 'exec /bin/sh -c "$1" >"$0" 2>&1', outputPath, command], {
    cwd: poolDirectory,
    env: { ...environment, ...jobMark(poolDirectory, "sync-assets-hook") },
    extendEnv: false,
    stdio: "ignore",
    reject: false,
    // A session of its own, by which its processes are found.
    detached: true,
    cleanup: false,
  });
  const swept = Promise.withResolvers<undefined>();
  const end = () => {
    sweep(processesOf(hook.pid), { graceMs }).then(() => swept.resolve(undefined), swept.reject);
  };
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  try {
    return (await Promise.race([hook, swept.promise]))?.exitCode;
  } finally {
    signal.removeEventListener("abort", end);
    if (signal.aborted) await swept.promise;
  }
}

/** All below a process and all of its session, itself included. */
function processesOf(pid: number | undefined): Selection {
  if (pid === undefined) return () => [];
  return (all) => {
    const below = new Set(descendantsOf([pid], all));
    return all.filter((entry) => entry.pid === pid || entry.sessionId === pid || below.has(entry));
  };
}

async function logOutput(folder: string, { log }: Context): Promise<void> {
  await using file = await openInside(folder, outputName);
  if (file === undefined) return;
  const start = Math.max(0, file.sizeBytes - maxLoggedBytes);
  const text = (await readAt(file, start, file.sizeBytes - start)).toString().trimEnd();
  if (text !== "") log.info(`Output of SYNC_ASSETS_HOOK:\n${text}`);
}
