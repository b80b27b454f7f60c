// What an executable is made of beside the code: sharp's packages and, for another architecture than this machine's, a
// Bun to run it. Those of another architecture are installed, from lock files as everything is, into a folder of theirs.
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { statIfThere } from "../src/ops/stat-if-there.ts";

/** Of which there are executables; the package is that of a Bun for it. */
const architectures = {
  x64: { runtime: "@oven/bun-linux-x64", target: "bun-linux-x64" },
  arm64: { runtime: "@oven/bun-linux-aarch64", target: "bun-linux-arm64" },
} as const;
export type Architecture = keyof typeof architectures;

export interface Platform {
  /** As in the names of sharp's packages. */
  readonly name: string;
  /** Folder that has sharp's packages for it. */
  readonly packages: string;
  /** What `Bun.build` has to know of another architecture. */
  readonly runtime: { readonly target?: Bun.Build.CompileTarget; readonly executablePath?: string };
}

const root = join(import.meta.dir, "..");

export function isArchitecture(name: string): name is Architecture {
  return Object.hasOwn(architectures, name);
}

/** Installs what is missing for another architecture. Throws when it cannot, or when this one's is missing. */
export async function findPlatform(architecture: Architecture): Promise<Platform> {
  const name = `linux-${architecture}`;
  if (architecture !== process.arch) return await installPlatform(name, architecture);
  const packages = join(root, "node_modules");
  if (!(await statIfThere(join(packages, "@img", `sharp-${name}`))))
    throw new Error(`sharp for ${name} is not in node_modules: run "bun install --frozen-lockfile" first`);
  return { name, packages, runtime: {} };
}

async function installPlatform(name: string, architecture: Architecture): Promise<Platform> {
  const folder = join(root, "node_modules/.cache/openqa-worker", name);
  const { runtime, target } = architectures[architecture];
  const packages = await install(root, join(folder, "packages"), architecture);
  const runtimes = await install(join(import.meta.dir, "runtimes"), join(folder, "runtime"), architecture);
  const { version } = await Bun.file(join(runtimes, runtime, "package.json")).json();
  if (version !== Bun.version)
    throw new Error(`build/runtimes has Bun ${version}, expected that of this build, ${Bun.version}`);
  const executablePath = join(runtimes, runtime, "bin/bun");
  return { name, packages, runtime: { target, executablePath } };
}

/** What the lock file of one folder says, for an architecture, in another folder. Returns its node_modules. */
async function install(from: string, to: string, architecture: Architecture): Promise<string> {
  await mkdir(to, { recursive: true });
  for (const name of ["package.json", "bun.lock"]) await copyFile(join(from, name), join(to, name));
  const flags = [
    "--frozen-lockfile",
    "--production",
    "--ignore-scripts",
    "--os=linux",
    `--cpu=${architecture}`,
  ];
  const command = [process.execPath, "install", ...flags];
  const child = Bun.spawn(command, { cwd: to, stdio: ["ignore", "ignore", "pipe"] });
  const [exitCode, messages] = await Promise.all([child.exited, child.stderr.text()]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed in ${to}:\n${messages.trim()}`);
  return join(to, "node_modules");
}
