// Workers on a server of our own: the stock Perl worker and the project's executable, configured alike.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type RunningCacheService, startStockCacheService, steadyPerl } from "./cache-service.ts";
import { createMark, Daemon, type Mark, type Process, processesOf } from "./processes.ts";
import type { OpenqaServer } from "./server.ts";
import { until } from "./until.ts";
import { workerUser } from "./users.ts";
import { configureWorker, type HostOptions, installExecutable, projectFolderOf } from "./worker-folder.ts";

const connectLimitMs = 60_000;

export interface WorkerOptions extends HostOptions {
  readonly extraArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** False: returns as soon as the process was started. */
  readonly waits?: boolean;
}

/** All processes that serve some slots: one of ours, or a stock one per slot. */
export class Worker {
  private idle: readonly Process[] = [];

  constructor(
    private readonly projectFolder: string,
    readonly cacheDirectory: string | undefined,
    readonly daemons: readonly Daemon[],
    readonly instances: readonly number[],
    readonly mark: Mark,
    /** A cache service of its own. */
    readonly service: RunningCacheService | undefined,
  ) {}

  get pids(): number[] {
    return this.daemons.map((daemon) => daemon.pid);
  }

  poolFolder(instance = this.instances[0]): string {
    return join(this.projectFolder, "pool", String(instance));
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

  /** What runs beyond the idle worker and its picture process, which stays a while: of a job, or left over by one. */
  async jobProcesses(): Promise<Process[]> {
    const isIdle = (one: Process) =>
      this.idle.some((other) => other.pid === one.pid && other.startTime === one.startTime);
    const isOfPictures = ({ parentPid, commandLine }: Process) =>
      this.pids.includes(parentPid) && commandLine.endsWith(" __pictures");
    return (await this.processes()).filter((one) => !isIdle(one) && !isOfPictures(one));
  }

  /** Signals and waits for the end. Resolves with the exit code (of the first one, should there be several). */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 90_000): Promise<number> {
    const codes = await Promise.all(this.daemons.map((daemon) => daemon.stop(signal, graceMs)));
    await this.service?.stop();
    return codes[0] ?? 0;
  }
}

/**
 * The Perl worker, one process per slot. Waits until all are connected. With a cache and no port of a cache service it
 * gets a stock one of its own, which ends with it.
 */
export async function startStockWorker(server: OpenqaServer, options: WorkerOptions): Promise<Worker> {
  const { cache } = options;
  const service =
    cache && cache.servicePort === undefined ? await startStockCacheService(server, cache) : undefined;
  const withService = cache && service ? { cache: { ...cache, servicePort: service.port } } : {};
  return startWorker(
    server,
    { ...options, ...withService, env: { ...steadyPerl, ...options.env } },
    (instances) =>
      instances.map((instance) => ({
        name: `worker-stock-${instance}`,
        command: ["/usr/share/openqa/script/worker", "--instance", String(instance)],
      })),
    service,
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

/** Waits until a job of this worker has its VM. */
export async function untilQemuRuns(worker: Worker): Promise<void> {
  await until("QEMU runs", connectLimitMs, async () =>
    (await worker.jobProcesses()).some(({ commandLine }) => commandLine.includes("-qmp")),
  );
}

interface Program {
  readonly name: string;
  readonly command: readonly string[];
}

async function startWorker(
  server: OpenqaServer,
  options: WorkerOptions,
  programsOf: (instances: readonly number[]) => readonly Program[],
  service?: RunningCacheService,
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
  const worker = new Worker(
    projectFolderOf(server, options.cache),
    options.cache?.directory,
    daemons,
    instances,
    mark,
    service,
  );
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
