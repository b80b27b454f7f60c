// Runs a part in a process of its own and sees to it that nothing of it stays: no process, no file.
import { chmod, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BornProcess, livingDescendants } from "../support/born-processes.ts";
import { type Measured, measurementsSchema } from "./figures-json.ts";

const patience = {
  /** What a part has told to end may take so long before it counts as left over. */
  lingerMs: 2_000,
  /** From then on by KILL. */
  killMs: 15_000,
  limitMs: 30_000,
};
const lookMs = 50;
const keptLogsPrefix = "openqa-worker-e2e-logs-";

export interface PartRun {
  readonly name: string;
  readonly rounds: number;
  /** Ends it at once. */
  readonly signal: AbortSignal;
  /** Given the name, the rounds, and the file for the measurements. */
  readonly script?: string;
  readonly patience?: typeof patience;
}

/** Throws when the part fails, is aborted, or leaves processes. All its processes have ended in any case. */
export async function runPart(run: PartRun): Promise<Measured[]> {
  const before = new Set((await livingDescendants()).map(identity));
  const folder = await mkdtemp(join(tmpdir(), "openqa-worker-bench-"));
  // Servers and workers run as users of their own.
  await chmod(folder, 0o755);
  try {
    const failure = await runToEnd(run, folder);
    const left = await endLeftOvers(before, run.patience ?? patience);
    run.signal.throwIfAborted();
    if (failure !== undefined)
      throw new Error(`its process ended with ${failure}, see above${await keepLogs(folder)}`);
    if (left.length > 0) throw new Error(`it left processes over: ${left.join("; ")}`);
    return measurementsSchema.parse(JSON.parse(await readFile(fileIn(folder), "utf8")));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves with what was wrong with its end, if anything. */
async function runToEnd(
  { name, rounds, signal, script = join(import.meta.dir, "run-part.ts") }: PartRun,
  folder: string,
): Promise<string | undefined> {
  const child = Bun.spawn([process.execPath, "run", script, name, String(rounds), fileIn(folder)], {
    // All that it makes there goes with the folder.
    env: { ...process.env, TMPDIR: folder },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const end = () => child.kill("SIGKILL");
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  const code = await child.exited.finally(() => signal.removeEventListener("abort", end));
  if (code === 0) return undefined;
  return child.signalCode === null ? `exit code ${code}` : String(child.signalCode);
}

/** Moves the logs that a part has kept (`OpenqaServer.keepLogs`) out of its folder, and says where they are. */
async function keepLogs(folder: string): Promise<string> {
  const kept = (await readdir(folder)).filter((name) => name.startsWith(keptLogsPrefix));
  const paths = kept.map((name) => join(tmpdir(), name));
  for (const [index, name] of kept.entries()) await rename(join(folder, name), paths[index] ?? "");
  return paths.map((path) => `; logs kept in ${path}`).join("");
}

function fileIn(folder: string): string {
  return join(folder, "measurements.json");
}

/**
 * Resolves when no process below this one lives that was not there before, with the command lines of those that had to
 * be ended.
 */
async function endLeftOvers(
  before: ReadonlySet<string>,
  { lingerMs, killMs, limitMs }: typeof patience,
): Promise<string[]> {
  const told = new Map<string, string>();
  for (const startMs = performance.now(); ; await Bun.sleep(lookMs)) {
    const left = (await livingDescendants()).filter((one) => !before.has(identity(one)));
    if (left.length === 0) return [...told.values()];
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs > limitMs) throw new Error(`cannot end ${left.map(nameOf).join("; ")}`);
    if (elapsedMs <= lingerMs) continue;
    for (const one of left) {
      if (elapsedMs > killMs) signalQuietly(one.pid, "SIGKILL");
      else if (!told.has(identity(one)) && !isSweeper(one)) signalQuietly(one.pid, "SIGTERM");
      if (!isSweeper(one)) told.set(identity(one), nameOf(one));
    }
  }
}

function nameOf({ command, program }: BornProcess): string {
  return command || program;
}

/** It ends what belongs to a server, and then itself (test/e2e/sweep.sh). */
function isSweeper({ command }: BornProcess): boolean {
  return command.includes("/sweep.sh ");
}

function identity({ pid, startTicks }: BornProcess): string {
  return `${pid} ${startTicks}`;
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It was faster.
  }
}
