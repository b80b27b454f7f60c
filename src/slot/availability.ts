// Whether a slot can take a job: looked at before each status without a job and at each offer (protocol 3.3).
import { readFile } from "node:fs/promises";
import type { Settings } from "../config/settings.ts";
import { runningQemu } from "./left-over-qemu.ts";

/** The first reason found why the slot cannot take jobs; undefined: it can. */
export async function findUnavailability(
  settings: Settings,
  workerHostname: string | undefined,
): Promise<string | undefined> {
  const { poolDirectory, loadAverageFile, criticalLoadAverage } = settings;
  const qemuPid = await runningQemu(poolDirectory);
  if (qemuPid !== undefined)
    return `A QEMU instance using the current pool directory is still running (PID: ${qemuPid})`;
  if (workerHostname === undefined) return "Unable to determine worker address (WORKER_HOSTNAME)";
  return criticalLoad(await readLoad(loadAverageFile), criticalLoadAverage);
}

/** Rising load counts, falling load does not. `loads` are the averages over 1, 5 and 15 minutes. */
export function criticalLoad(loads: readonly number[], threshold: number): string | undefined {
  const [one, five, fifteen] = loads;
  if (one === undefined || five === undefined || fifteen === undefined || threshold <= 0) return undefined;
  const isRising = one > five || one > fifteen || Math.min(one, five, fifteen) > threshold;
  if (Math.max(one, five, fifteen) <= threshold || !isRising) return undefined;
  return `The average load (${loads.join(" ")}) is exceeding the configured threshold of ${threshold}. The worker will temporarily not accept new jobs until the load is lower again.`;
}

/** Three averages, or none when they cannot be read: then there is no limit. */
async function readLoad(file: string): Promise<readonly number[]> {
  try {
    const loads = (await readFile(file, "latin1")).split(/\s+/, 3).map(Number);
    return loads.length === 3 && loads.every((load) => load >= 0) ? loads : [];
  } catch {
    return [];
  }
}
