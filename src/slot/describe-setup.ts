// The lines a slot logs when it starts: what it works for, and what of its configuration has no effect.
import type { Settings } from "../config/settings.ts";
import type { Logger } from "../ops/log.ts";

export function describeSetup(settings: Settings, workerClass: string, log: Logger): void {
  const { hosts, ignoredHosts, instance, problems } = settings;
  log.info(
    `Slot ${instance} (class ${workerClass}) works for ${hosts.map(({ name }) => name).join(", ") || "nobody"}`,
  );
  for (const problem of problems) log.warn(problem);
  for (const { reason } of ignoredHosts) log.error(reason);
  for (const text of withoutEffect(settings)) log.warn(text);
}

/** Settings of the stock worker that this one does not know to obey yet. */
function withoutEffect({ throttle, ipmi, packagesCommand, workerClass }: Settings): string[] {
  const lines: string[] = [];
  if (throttle) lines.push("LOCK_NAME has no effect yet: job starts are not throttled");
  if (ipmi) lines.push("IPMI_HOSTNAME has no effect yet: the machine is not powered off when idle");
  if (packagesCommand !== undefined) lines.push("PACKAGES_CMD has no effect yet");
  if (workerClass?.split(",").includes("tap"))
    lines.push("WORKER_CLASS tap: whether the Open vSwitch service runs is not checked yet");
  return lines;
}
