// What is found out once at start about the machine and the test runner, for the registrations of all slots.
import type { Settings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { rememberedVersion } from "../isotovideo/remembered-version.ts";
import { type Capabilities, defaultWorkerClass, detectCapabilities } from "../webui/capabilities.ts";
import type { Registration } from "../webui/registration.ts";

export interface HostFacts {
  readonly capabilities: Capabilities;
  readonly isotovideoVersion: number;
}

export async function findHostFacts(
  { arch, isotovideo, stateDirectory }: Settings,
  { nodeName }: Program,
  context: Context,
): Promise<HostFacts> {
  const [capabilities, version] = await Promise.all([
    detectCapabilities({ nodeName, arch }, context),
    rememberedVersion(isotovideo.path, { directory: stateDirectory }, context),
  ]);
  return { capabilities, isotovideoVersion: version };
}

/** Everything of a registration but the jobs. */
export function registrationOf(settings: Settings, facts: HostFacts): Omit<Registration, "jobIds"> {
  return {
    ...facts,
    instance: settings.instance,
    workerClass: settings.workerClass ?? defaultWorkerClass(facts.capabilities.cpuArch),
    parallelOneHostOnly: settings.parallelOneHostOnly,
  };
}
