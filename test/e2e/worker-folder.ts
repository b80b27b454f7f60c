// What a worker finds on its host: the executable, a configuration folder, pool directories, a cache directory.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { builtExecutable } from "./executable.ts";
import { freePorts } from "./ports.ts";
import { makeFolders, run } from "./processes.ts";
import type { OpenqaServer } from "./server.ts";
import { clientConf } from "./server-files.ts";
import { plainEnv, workerUser } from "./users.ts";

/** Of a worker host away from the web UI: all comes over the network, as its share directory is empty. */
export interface WorkerCache {
  readonly directory: string;
  /** Where programs of this host look for the stock cache service, from OPENQA_BASE_PORT. Default: nothing is there. */
  readonly servicePort?: number;
  /** More lines for workers.ini. */
  readonly lines?: readonly string[];
}

export interface HostOptions {
  /** First instance number; how many follow it is `slots` (default 1). */
  readonly instance: number;
  readonly slots?: number;
  readonly workerClass: string;
  /** Without: tests and assets are taken from the server's share directory. */
  readonly cache?: WorkerCache;
  /** What goes into HOST, where that is not the server itself. */
  readonly webUiUrl?: string;
  /** More lines for section [global] of workers.ini. */
  readonly lines?: readonly string[];
}

/** `$OPENQA_BASEDIR/openqa`. */
export function projectFolderOf(server: OpenqaServer, cache: WorkerCache | undefined): string {
  return join(cache ? join(server.folder, "worker-host") : server.baseFolder, "openqa");
}

/** A new and empty cache directory. */
export async function makeCacheDirectory(server: OpenqaServer, name: string): Promise<string> {
  const directory = join(server.folder, "caches", name);
  await makeFolders(undefined, join(server.folder, "caches"));
  await makeFolders(workerUser, directory);
  return directory;
}

/** By server: several tests at once may want it. */
const executables = new WeakMap<OpenqaServer, Promise<string>>();

/** Puts the executable where the worker's user can run it. Returns its path. */
export async function installExecutable(server: OpenqaServer): Promise<string> {
  const known = executables.get(server) ?? copyExecutable(join(server.folder, "openqa-worker"));
  executables.set(server, known);
  return known;
}

async function copyExecutable(to: string): Promise<string> {
  await run(["install", "-m", "755", await builtExecutable(), to]);
  return to;
}

/** Environment of a worker's programs, with a configuration folder of its own. */
export async function configureWorker(
  server: OpenqaServer,
  options: HostOptions,
): Promise<Record<string, string>> {
  const { instance, slots = 1, cache } = options;
  const folder = join(server.folder, "etc", `worker-${instance}`);
  const project = projectFolderOf(server, cache);
  const instances = Array.from({ length: slots }, (_, index) => instance + index);
  await makeFolders(undefined, folder, project, join(project, "share"));
  const pool = join(project, "pool");
  await makeFolders(workerUser, pool, ...instances.map((one) => join(pool, String(one))));
  await writeFile(join(folder, "workers.ini"), workersIni(server, options));
  await writeFile(join(folder, "client.conf"), clientConf());
  const basePort = cache
    ? (cache.servicePort ?? (await freePorts(1))) - servicePortOffset
    : server.ports.webUi;
  return {
    ...plainEnv(server.folder, workerUser),
    OPENQA_CONFIG: folder,
    OPENQA_BASEDIR: join(project, ".."),
    OPENQA_BASE_PORT: String(basePort),
  };
}

/** openQA's own: of the cache service's port from OPENQA_BASE_PORT. */
const servicePortOffset = 4;

function workersIni(
  server: OpenqaServer,
  { workerClass, cache, webUiUrl = server.url, lines = [] }: HostOptions,
): string {
  const global = [
    `HOST = ${webUiUrl}`,
    `WORKER_CLASS = ${workerClass}`,
    "LOG_LEVEL = debug",
    "LOCAL_UPLOAD = 0",
    ...lines,
    ...(cache ? [`CACHEDIRECTORY = ${cache.directory}`, ...(cache.lines ?? [])] : []),
  ];
  // The stock worker dies of a host section that is empty.
  const host = cache
    ? `TESTPOOLSERVER = rsync://127.0.0.1:${server.ports.rsync}/tests`
    : `SHARE_DIRECTORY = ${server.projectFolder}/share`;
  return ["[global]", ...global, "", `[${webUiUrl}]`, host, ""].join("\n");
}
