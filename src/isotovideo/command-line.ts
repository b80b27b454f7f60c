// The command that runs isotovideo for a job (protocol 4.4). Pure: what exists on the disk comes in as values.
import { join } from "node:path";

export interface CommandLineFacts {
  /** Settings of the job, placeholders not expanded. */
  readonly settings: Readonly<Record<string, string | undefined>>;
  readonly isotovideoPath: string;
  readonly projectDirectory: string;
  readonly poolDirectory: string;
  /** Those of `containerMounts` that exist. */
  readonly mounts: readonly string[];
}

export interface CommandLine {
  readonly command: readonly string[];
  /** Laid over the environment of isotovideo. */
  readonly environment: Readonly<Record<string, string>>;
  /** To be made before the start. */
  readonly directories: readonly string[];
}

const defaultImage = "registry.opensuse.org/devel/openqa/containers/os-autoinst_dev:latest";

export function isotovideoCommandLine(facts: CommandLineFacts): CommandLine {
  const { ISOTOVIDEO, OS_AUTOINST_GIT_REPO, OS_AUTOINST_CONTAINER_IMAGE } = facts.settings;
  if (ISOTOVIDEO) return plain(["/bin/sh", "-c", withoutWaitingShell(ISOTOVIDEO)]);
  if (OS_AUTOINST_GIT_REPO) return inContainer(facts, OS_AUTOINST_GIT_REPO);
  if (OS_AUTOINST_CONTAINER_IMAGE)
    return plain(["/bin/sh", "-c", 'echo "$1" >&2; exit 1', "sh", missingRepository]);
  return plain(["perl", facts.isotovideoPath, "-d"]);
}

/** A plain command takes the shell's place, so that TERM reaches isotovideo and not a shell that waits for it. */
function withoutWaitingShell(command: string): string {
  return /^\s*[\w./-]+(\s+[\w@%+=:,./-]+)*\s*$/.test(command) ? `exec ${command}` : command;
}

/** The job says so in its log and ends as `died`. */
const missingRepository =
  "OS_AUTOINST_CONTAINER_IMAGE requires OS_AUTOINST_GIT_REPO. Set OS_AUTOINST_GIT_REPO to the repository of the " +
  "os-autoinst to run in the container, or remove OS_AUTOINST_CONTAINER_IMAGE.";

/** Folders that a container sees at their own paths, read-only; `cacheFolders` are the names in the cache folder. */
export function containerMounts(projectDirectory: string, cacheFolders: readonly string[]): string[] {
  return [
    ...["share", "tests"].map((name) => join(projectDirectory, name)),
    ...cacheFolders.filter((name) => name !== "podman").map((name) => join(projectDirectory, "cache", name)),
    ...["/etc/ssl/certs", "/etc/pki", "/usr/share/pki", "/var/lib/ca-certificates"],
  ];
}

function inContainer(facts: CommandLineFacts, repository: string): CommandLine {
  const { settings, projectDirectory, poolDirectory, mounts } = facts;
  const podman = join(projectDirectory, "cache/podman");
  const runtimeDirectory = join(podman, "run");
  const home = join(poolDirectory, "podman_tmp");
  // Repository and branch are the job's: they never become part of the script.
  const script =
    'git clone --depth 1 --branch "$2" -- "$1" os-autoinst && make -C os-autoinst && os-autoinst/isotovideo -d';
  return {
    command: [
      "podman",
      ...[
        "--root",
        join(podman, "data/containers/storage"),
        "--runroot",
        join(runtimeDirectory, "containers"),
      ],
      ...["--storage-opt", "ignore_chown_errors=true", "--cgroup-manager=cgroupfs", "--events-backend=file"],
      ...["run", "--init", "--rm", "--entrypoint", "", "--device", "/dev/kvm"],
      ...["-v", `${poolDirectory}:/pool`, "-w", "/pool"],
      ...mounts.flatMap((path) => ["-v", `${path}:${path}:ro`]),
      settings["OS_AUTOINST_CONTAINER_IMAGE"] || defaultImage,
      ...["sh", "-c", script, "sh", repository, settings["OS_AUTOINST_GIT_BRANCH"] || "master"],
    ],
    environment: { HOME: home, XDG_RUNTIME_DIR: runtimeDirectory },
    directories: [home, runtimeDirectory],
  };
}

function plain(command: readonly string[]): CommandLine {
  return { command, environment: {}, directories: [] };
}
