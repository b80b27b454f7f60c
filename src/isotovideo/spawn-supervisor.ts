// Starts the supervisor of a job: this very executable, in a session of its own.
import { constants, type FileHandle, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ownCommand } from "../process/own-command.ts";
import { exitFile, jobMark, orderFile, stateFolder, supervisorFile, supervisorName } from "./pool-state.ts";
import { makeReportFifo, openReportFifo } from "./report-fifo.ts";
import type { SuperviseOrder } from "./supervise-order.ts";

export interface IsotovideoStart {
  readonly command: readonly string[];
  readonly poolDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Its stdout and stderr are appended to this. */
  readonly logFile: string;
  readonly jobId: number | string;
  /** From TERM to isotovideo to TERM to all that is left. */
  readonly graceMs: number;
  /** Program and arguments that take the path of an order; default: this program's own. */
  readonly supervisorCommand?: readonly string[];
}

/** Halves what JavaScriptCore keeps for itself. The supervisor takes all `BUN_*` out of isotovideo's environment. */
const smallRuntime = { BUN_JSC_forceMiniVMMode: "1", BUN_JSC_useBaselineJIT: "0" };

export interface SpawnedSupervisor {
  readonly child: Bun.Subprocess<"ignore", number, number>;
  /** Tells `SupervisorReport`s; to be closed. */
  readonly reports: FileHandle;
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

export async function spawnSupervisor(start: IsotovideoStart): Promise<SpawnedSupervisor> {
  const { poolDirectory, environment, logFile, jobId, supervisorCommand = ownCommand("__supervise") } = start;
  const order = await writeOrder(start);
  await using log = await open(logFile, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o644);
  await using fifo = await makeReportFifo(poolDirectory);
  const reports = await openReportFifo(poolDirectory);
  try {
    const child = Bun.spawn([...supervisorCommand, order], {
      argv0: supervisorName,
      cwd: "/",
      env: { ...environment, ...smallRuntime, ...jobMark(poolDirectory, jobId) },
      detached: true,
      stdio: ["ignore", fifo.fd, log.fd],
    });
    return { child, reports };
  } catch (error) {
    await reports.close();
    throw error;
  }
}

/** Returns the path of the order; what an earlier supervisor has left there is gone. */
async function writeOrder({ poolDirectory, command, graceMs }: IsotovideoStart): Promise<string> {
  const folder = join(poolDirectory, stateFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of [supervisorFile, exitFile, `${orderFile}.new`])
    await rm(join(folder, name), { force: true });
  const order: SuperviseOrder = { format: 1, poolDirectory, command, graceMs };
  const path = join(folder, orderFile);
  await writeFile(`${path}.new`, `${JSON.stringify(order)}\n`, { mode: 0o600, flag: "wx" });
  await rename(`${path}.new`, path);
  return path;
}
