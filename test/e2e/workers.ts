// Workers on a server of our own: the stock Perl worker and the project's executable, configured alike, without cache.
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { builtExecutable } from "./executable.ts";
import { createMark, Daemon, type Mark, makeFolders, type Process, processesOf, run } from "./processes.ts";
import { type OpenqaServer, plainEnv, workerUser } from "./server.ts";
import { clientConf } from "./server-files.ts";
import { until } from "./until.ts";

const connectLimitMs = 60_000;

export interface WorkerOptions {
  /** First instance number; how many follow it is `slots` (default 1). */
  readonly instance: number;
  readonly slots?: number;
  readonly workerClass: string;
  readonly extraArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** False: returns as soon as the process was started. */
  readonly waits?: boolean;
}

/** All processes that serve some slots: one of ours, or a stock one per slot. */
export class Worker {
  private idle: readonly Process[] = [];

  constructor(
    private readonly server: OpenqaServer,
    readonly daemons: readonly Daemon[],
    readonly instances: readonly number[],
    readonly mark: Mark,
  ) {}

  get pids(): number[] {
    return this.daemons.map((daemon) => daemon.pid);
  }

  poolFolder(instance = this.instances[0]): string {
    return join(this.server.projectFolder, "pool", String(instance));
  }

  async log(): Promise<string> {
    return (await Promise.all(this.daemons.map((daemon) => readFile(daemon.log, "utf8")))).join("");
  }

  /** All processes that descend from this worker, itself included. */
  processes(): Promise<Process[]> {
    return processesOf(this.mark);
  }

  /** Remembers what runs now as what an idle worker consists of. */
  async noteIdle(): Promise<void> {
    this.idle = await this.processes();
  }

  /** What runs beyond the idle worker: of a job, or left over by one. */
  async jobProcesses(): Promise<Process[]> {
    const isIdle = (one: Process) =>
      this.idle.some((other) => other.pid === one.pid && other.startTime === one.startTime);
    return (await this.processes()).filter((one) => !isIdle(one));
  }

  /** Signals and waits for the end. Resolves with the exit code (of the first one, should there be several). */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 90_000): Promise<number> {
    const codes = await Promise.all(this.daemons.map((daemon) => daemon.stop(signal, graceMs)));
    return codes[0] ?? 0;
  }
}

/** The Perl worker, one process per slot. Waits until all are connected. */
export async function startStockWorker(server: OpenqaServer, options: WorkerOptions): Promise<Worker> {
  return startWorker(server, options, (instances) =>
    instances.map((instance) => ({
      name: `worker-stock-${instance}`,
      command: ["/usr/share/openqa/script/worker", "--instance", String(instance)],
    })),
  );
}

/**
 * The project's executable, one process for all slots. Waits until all are connected. With E2E_SECOND=stock in the
 * environment it is stock workers again: that checks comparisons and measurements themselves.
 */
export async function startOurWorker(server: OpenqaServer, options: WorkerOptions): Promise<Worker> {
  if (isSecondStock) return startStockWorker(server, options);
  const executable = await installExecutable(server);
  return startWorker(server, options, (instances) => [
    {
      name: `worker-ours-${instances[0]}`,
      command: [executable, "run", "--instance", instanceList(instances)],
    },
  ]);
}

export const isSecondStock = process.env["E2E_SECOND"] === "stock";

/** Puts the executable where the worker's user can run it. Returns its path. */
export async function installExecutable(server: OpenqaServer): Promise<string> {
  const copy = join(server.folder, "openqa-worker");
  if (!(await Bun.file(copy).exists())) await run(["install", "-m", "755", await builtExecutable(), copy]);
  return copy;
}

/** Environment of a worker's programs, with a configuration folder of its own. */
export async function configureWorker(
  server: OpenqaServer,
  { workerClass, instance, slots = 1 }: Pick<WorkerOptions, "workerClass" | "instance" | "slots">,
): Promise<Record<string, string>> {
  const folder = join(server.folder, "etc", `worker-${instance}`);
  const instances = Array.from({ length: slots }, (_, index) => instance + index);
  await makeFolders(undefined, folder);
  await makeFolders(workerUser, ...instances.map((one) => join(server.projectFolder, "pool", String(one))));
  // The stock worker dies of a host section that is empty.
  const workersIni = `[global]
HOST = ${server.url}
WORKER_CLASS = ${workerClass}
LOG_LEVEL = debug
LOCAL_UPLOAD = 0

[${server.url}]
SHARE_DIRECTORY = ${server.projectFolder}/share
`;
  await writeFile(join(folder, "workers.ini"), workersIni);
  await writeFile(join(folder, "client.conf"), clientConf());
  return {
    ...plainEnv(server.folder, workerUser),
    OPENQA_CONFIG: folder,
    OPENQA_BASEDIR: server.baseFolder,
    OPENQA_BASE_PORT: String(server.ports.webUi),
  };
}

interface Program {
  readonly name: string;
  readonly command: readonly string[];
}

async function startWorker(
  server: OpenqaServer,
  options: WorkerOptions,
  programsOf: (instances: readonly number[]) => readonly Program[],
): Promise<Worker> {
  const instances = Array.from({ length: options.slots ?? 1 }, (_, index) => options.instance + index);
  const env = { ...(await configureWorker(server, options)), ...options.env };
  const mark = createMark();
  const seenBefore = (await stat(server.log("websockets"))).size;
  const daemons = await Promise.all(
    programsOf(instances).map(({ name, command }) =>
      Daemon.start([...command, ...(options.extraArgs ?? [])], {
        user: workerUser,
        env,
        log: server.log(name),
        marks: [server.mark, mark],
      }),
    ),
  );
  server.addWorkers(daemons);
  const worker = new Worker(server, daemons, instances, mark);
  if (options.waits === false) return worker;
  try {
    await until(`instances ${instances.join(", ")} are connected`, connectLimitMs, async () => {
      const ended = daemons.find((daemon) => !daemon.isAlive);
      if (ended) throw new Error(`worker ended with exit code ${await ended.exited}: ${await worker.log()}`);
      return areFree(server, instances, seenBefore);
    });
  } catch (error) {
    await worker.stop("SIGTERM", 10_000);
    throw error;
  }
  await worker.noteIdle();
  return worker;
}

/** Free for the server, and said so on a websocket since its log had `seenBefore` bytes. */
async function areFree(
  server: OpenqaServer,
  instances: readonly number[],
  seenBefore: number,
): Promise<boolean> {
  const known = await server.api.workers();
  const log = (await readFile(server.log("websockets"))).subarray(seenBefore).toString();
  return instances.every((instance) =>
    known.some(
      (one) =>
        one.instance === instance && one.isFree && log.includes(` of worker ${one.id} from worker_status`),
    ),
  );
}

function instanceList(instances: readonly number[]): string {
  const [first, last] = [instances[0], instances.at(-1)];
  return first === last ? `${first}` : `${first}-${last}`;
}
