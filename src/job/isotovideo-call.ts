// How isotovideo is called for a job that has been set up: makes the folders that the call needs.
import { access, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { containerMounts, isotovideoCommandLine } from "../isotovideo/command-line.ts";
import { isotovideoEnvironment } from "../isotovideo/environment.ts";
import type { IsotovideoStart } from "../isotovideo/spawn-supervisor.ts";
import type { JobInput } from "./job-in-progress.ts";
import { autoinstLogName } from "./job-log.ts";
import type { PreparedJob } from "./set-up/set-up-job.ts";

export async function isotovideoCall(
  { job, webUi, settings, program }: JobInput,
  { jobSettings }: PreparedJob,
): Promise<IsotovideoStart> {
  const { poolDirectory, projectDirectory } = settings;
  const { command, environment, directories } = isotovideoCommandLine({
    settings: jobSettings,
    isotovideoPath: settings.isotovideo.path,
    projectDirectory,
    poolDirectory,
    mounts: jobSettings["OS_AUTOINST_GIT_REPO"] ? await existingMounts(projectDirectory) : [],
  });
  const base = isotovideoEnvironment({
    base: program.env,
    poolDirectory,
    shareDirectory: webUi.host.shareDirectory,
    openqaHostname: jobSettings["OPENQA_HOSTNAME"] ?? "",
    qemuPort: Number(jobSettings["QEMUPORT"]),
    vnc: Number(jobSettings["VNC"]),
  });
  for (const directory of [join(poolDirectory, "tmp"), ...directories])
    await mkdir(directory, { recursive: true });
  return {
    command,
    poolDirectory,
    environment: { ...base, ...environment },
    logFile: join(poolDirectory, autoinstLogName),
    jobId: job.id,
    graceMs: settings.own.stop.graceMs,
  };
}

async function existingMounts(projectDirectory: string): Promise<string[]> {
  const cacheFolders = await readdir(join(projectDirectory, "cache")).catch(() => []);
  const candidates = containerMounts(projectDirectory, cacheFolders);
  const exist = await Promise.all(
    candidates.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return candidates.filter((_, index) => exist[index]);
}
