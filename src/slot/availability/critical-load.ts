// Whether the machine has too much to do for another job (protocol 3.3 no. 6, field lesson 28).
import { readFile } from "node:fs/promises";
import type { Settings } from "../../config/settings.ts";

/** Why it takes no job; undefined: it does, or the load cannot be read. */
export async function findCriticalLoad({
  loadAverageFile,
  criticalLoadAverage,
}: Pick<Settings, "loadAverageFile" | "criticalLoadAverage">): Promise<string | undefined> {
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
