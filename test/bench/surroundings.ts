// What figures depend on: the machine, the versions of what was measured, and how quiet it was.
import { access } from "node:fs/promises";
import { cpus, loadavg, release, totalmem } from "node:os";
import { $ } from "bun";
import { UsageError } from "../../src/errors.ts";
import { executable } from "../support/temporary-worker.ts";
import type { Surroundings } from "./figures-json.ts";

const packages = ["openqa", "openqa-worker", "os-autoinst", "optipng", "nginx-light", "postgresql-15"];
const quietLoad = 0.5;

/** Throws `UsageError` when there is no executable to be measured. */
export async function readSurroundings(): Promise<Surroundings> {
  await access(executable).catch((error) => {
    throw new UsageError(`${executable} is not there; build it first: bun run build`, { cause: error });
  });
  return {
    machine: {
      cpu: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      memoryMb: Math.round(totalmem() / 1024 ** 2),
      kernel: release(),
    },
    versions: {
      "openqa-worker (ours)": (await $`${executable} --version`.text()).trim(),
      bun: Bun.version,
      ...(await packageVersions()),
    },
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2)),
  };
}

/** Those that are installed: a part installs what it needs. */
async function packageVersions(): Promise<Record<string, string>> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query fills it in
  const format = "${Package} ${Version} ${db:Status-Status}\n";
  const lines = (await $`dpkg-query -W -f ${format} ${packages}`.nothrow().quiet().text()).split("\n");
  const known = lines.map((line) => line.split(" ")).filter(([, , status]) => status === "installed");
  return Object.fromEntries(known.map(([name = "", version = ""]) => [name, version]));
}

/** A warning when others were using the machine. */
export function unrest({ loadAverage }: Surroundings): string | undefined {
  if (loadAverage <= quietLoad) return undefined;
  return `the machine is not quiet: load average ${loadAverage} (quiet: at most ${quietLoad}); figures may be off`;
}
