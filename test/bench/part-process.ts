// Runs a part in a process of its own and sees to it that nothing of it stays: no process, no file.
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BornProcess, livingDescendants } from "../support/born-processes.ts";
import { type Measured, measurementsSchema } from "./figures-json.ts";

/** What a part has told to end may take so long before it counts as left over. */
const lingerMs = 2_000;
/** From then on by KILL. */
const patienceMs = 15_000;
const limitMs = 30_000;
const lookMs = 50;

/**
 * Throws when the part fails, leaves processes, or `signal` is aborted, which ends it at once. All its processes have
 * ended then.
 */
export async function runPart(name: string, rounds: number, signal: AbortSignal): Promise<Measured[]> {
  const folder = await mkdtemp(join(tmpdir(), "openqa-worker-bench-"));
  // Servers and workers run as users of their own.
  await chmod(folder, 0o755);
  try {
    const file = join(folder, "measurements.json");
    const script = join(import.meta.dir, "run-part.ts");
    const child = Bun.spawn([process.execPath, "run", script, name, String(rounds), file], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const end = () => child.kill("SIGKILL");
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    const code = await child.exited.finally(() => signal.removeEventListener("abort", end));
    const left = await endLeftOvers();
    signal.throwIfAborted();
    if (code !== 0)
      throw new Error(`its process ended with ${child.signalCode ?? `exit code ${code}`}, see above`);
    if (left.length > 0) throw new Error(`it left processes over: ${left.join("; ")}`);
    return measurementsSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Resolves when no process below this one lives, with the command lines of those that had to be ended. */
async function endLeftOvers(): Promise<string[]> {
  const told = new Map<string, string>();
  const startMs = performance.now();
  for (;;) {
    const left = await livingDescendants();
    if (left.length === 0) return [...told.values()];
    const elapsedMs = performance.now() - startMs;
    const commands = () => left.map(({ command, program }) => command || program).join("; ");
    if (elapsedMs > limitMs) throw new Error(`cannot end ${commands()}`);
    for (const one of elapsedMs > lingerMs ? left : []) {
      if (elapsedMs > patienceMs) signalQuietly(one.pid, "SIGKILL");
      else if (!told.has(identity(one)) && !isSweeper(one)) {
        told.set(identity(one), one.command || one.program);
        signalQuietly(one.pid, "SIGTERM");
      }
    }
    await Bun.sleep(lookMs);
  }
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
