// The supervisor of one job: a process of its own that outlives the worker. It starts isotovideo, records how it ends
// and leaves no descendant of it alive. Many of them run at once, so it loads next to nothing, and idle it only waits.
// TERM: stop isotovideo, then the rest. A second TERM, or INT: kill all at once.
import { rename, rm, writeFile } from "node:fs/promises";
import { OfdLock, tryLockBytes } from "../process/ofd-lock.ts";
import { nameOf, type ProcessEntry, type ProcessIdentity, readProcess } from "../process/process-entry.ts";
import { releaseCodePages } from "../process/release-memory.ts";
import { becomeSubreaperOf } from "../process/sole-subreaper.ts";
import type { Swept } from "../process/sweep.ts";
import {
  exitFile,
  poolLockFile,
  stateFolder,
  supervisorByte,
  supervisorFile,
  supervisorName,
} from "./pool-state.ts";
import { parseOrder, type SuperviseOrder } from "./supervise-order.ts";

/** From TERM to KILL for what isotovideo has left running. */
const leftOverGraceMs = 2000;
/** Names of swept processes that are recorded. */
const maxNamed = 100;

/** Runs the order in the file and ends this process. Tells on stdout, a JSON line each, that it started and ended. */
export async function supervise(path: string): Promise<never> {
  try {
    await runOrder(parseOrder(await Bun.file(path).text()));
  } catch (error) {
    await tell({ failed: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  }
  process.exit(0);
}

async function runOrder(order: SuperviseOrder): Promise<void> {
  const stop = listenForStop();
  const { poolDirectory, graceMs } = order;
  const lock = await tryLockBytes(`${poolDirectory}/${poolLockFile}`, supervisorByte);
  if (!(lock instanceof OfdLock)) throw new Error("another job still runs in the pool directory");
  let isotovideo: Bun.Subprocess | undefined;
  const tree = becomeSubreaperOf(() => (isotovideo && !hasEnded(isotovideo) ? isotovideo.pid : undefined));
  isotovideo = startCommand(order);
  await tellStart(poolDirectory, isotovideo.pid);

  await Promise.race([isotovideo.exited, stop.requested]);
  if (!hasEnded(isotovideo)) {
    isotovideo.kill("SIGTERM");
    await Promise.race([isotovideo.exited, Bun.sleep(graceMs), stop.hurried]);
  }
  const { sweepBelow } = await import("../process/sweep.ts");
  const swept = await sweepBelow(process.pid, {
    graceMs: leftOverGraceMs,
    hurry: stop.hurry,
    isEmpty: () => !tree.hasChildren(),
  });
  await isotovideo.exited;
  await tellEnd(poolDirectory, isotovideo, swept);
}

async function tellStart(poolDirectory: string, isotovideoPid: number): Promise<void> {
  const supervisor = await identityOf(process.pid);
  const started = { format: 1, ...supervisor, isotovideo: await identityOf(isotovideoPid) };
  await replaceFile(poolDirectory, supervisorFile, started);
  await tell({ started });
  // Neither matters to the job.
  await writeFile("/proc/self/comm", supervisorName).catch(() => {});
  await releaseCodePages().catch(() => {});
}

async function tellEnd(
  poolDirectory: string,
  { pid, exitCode, signalCode }: Bun.Subprocess,
  swept: Swept,
): Promise<void> {
  const end = {
    format: 1,
    ...(signalCode === null ? { code: exitCode } : { signal: signalCode }),
    endedAt: Date.now(),
    swept: names(swept.ended.filter((entry) => entry.pid !== pid)),
    left: names(swept.left),
  };
  // On a full disk the worker still learns it from the line.
  await replaceFile(poolDirectory, exitFile, end).catch(() => {});
  await tell({ ended: end });
}

function startCommand({ command, poolDirectory }: SuperviseOrder): Bun.Subprocess {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("BUN_")));
  // Stderr is the job's log: a regular file, as writing to it must not depend on whoever reads.
  return Bun.spawn([...command], { cwd: poolDirectory, env, detached: true, stdio: ["ignore", 2, 2] });
}

function listenForStop() {
  const { promise: requested, resolve: request } = Promise.withResolvers<void>();
  const { promise: hurried, resolve: resolveHurried } = Promise.withResolvers<void>();
  const hurry = new AbortController();
  let isRequested = false;
  const handle = (signal: NodeJS.Signals) => {
    if (signal === "SIGINT" || isRequested) {
      hurry.abort();
      resolveHurried();
    }
    isRequested = true;
    request();
  };
  process.on("SIGTERM", handle);
  process.on("SIGINT", handle);
  return { requested, hurried, hurry: hurry.signal };
}

function hasEnded({ exitCode, signalCode }: Bun.Subprocess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function identityOf(pid: number): Promise<ProcessIdentity> {
  return { pid, startTicks: (await readProcess(pid))?.startTicks ?? "" };
}

function names(processes: readonly ProcessEntry[]): string[] {
  return processes.slice(0, maxNamed).map(nameOf);
}

async function replaceFile(poolDirectory: string, name: string, content: object): Promise<void> {
  const path = `${poolDirectory}/${stateFolder}/${name}`;
  await rm(`${path}.new`, { force: true });
  await writeFile(`${path}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600, flag: "wx" });
  await rename(`${path}.new`, path);
}

/** The worker may be gone: then nobody needs to be told. */
async function tell(report: object): Promise<void> {
  await Bun.write(Bun.stdout, `${JSON.stringify(report)}\n`).catch(() => {});
}
