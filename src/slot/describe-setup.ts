// The lines a slot logs when it starts: what it works for, and what is wrong with its configuration.
import type { Settings } from "../config/settings.ts";
import type { Logger } from "../ops/log.ts";

export function describeSetup(settings: Settings, workerClass: string, log: Logger): void {
  const { hosts, ignoredHosts, instance, problems } = settings;
  log.info(
    `Slot ${instance} (class ${workerClass}) works for ${hosts.map(({ name }) => name).join(", ") || "nobody"}`,
  );
  for (const problem of problems) log.warn(problem);
  for (const { reason } of ignoredHosts) log.error(reason);
}
