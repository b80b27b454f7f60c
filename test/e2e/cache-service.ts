// A cache service on a worker's host, for stock workers: the stock one, or our executable in its place.
import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { freePorts } from "./ports.ts";
import { createMark, Daemon } from "./processes.ts";
import type { OpenqaServer } from "./server.ts";
import { until } from "./until.ts";
import { workerUser } from "./users.ts";
import { configureWorker, installExecutable } from "./worker-folder.ts";

const startLimitMs = 60_000;
const openqaScripts = "/usr/share/openqa/script";

/**
 * For stock programs: names are resolved without threads. Mojolicious sometimes dies of a result that is not ready yet
 * ("I/O watcher failed: attempt to get not ready result").
 */
export const steadyPerl = { MOJO_NO_NNR: "1" };

const infoAnswer = z.object({ active_workers: z.number(), inactive_workers: z.number() });

export interface CacheServiceOptions {
  readonly directory: string;
  /** Default: any free one. */
  readonly port?: number;
}

export class RunningCacheService {
  constructor(
    readonly port: number,
    readonly daemons: readonly Daemon[],
    private readonly logStart: number,
  ) {}

  /** What it has logged since it was started. */
  async log(): Promise<string> {
    const [first] = this.daemons;
    return first ? (await readFile(first.log)).subarray(this.logStart).toString() : "";
  }

  async hasWorkers(): Promise<boolean> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/info`);
    const info = infoAnswer.parse(await answer.json());
    return info.active_workers + info.inactive_workers > 0;
  }

  /** Resolves with the exit code of the service itself. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    const codes = await Promise.all(this.daemons.map((daemon) => daemon.stop(signal)));
    return codes[0] ?? 0;
  }
}

/** The stock cache service and its Minion worker, as their systemd units start them. Waits until requests are taken. */
export async function startStockCacheService(
  server: OpenqaServer,
  options: CacheServiceOptions,
): Promise<RunningCacheService> {
  const prefork = ["prefork", "-m", "production", "-i", "100", "-H", "400", "-w", "2", "-G", "80"];
  return startPrograms(server, options, "stock", (instance) => [
    [
      `${openqaScripts}/openqa-workercache`,
      ...prefork,
      "-P",
      `${server.folder}/home-${workerUser}/cache-service-${instance}.pid`,
    ],
    [`${openqaScripts}/openqa-worker-cacheservice-minion`],
  ]);
}

/** `cache serve` of our executable. */
export async function startOurCacheService(
  server: OpenqaServer,
  options: CacheServiceOptions,
): Promise<RunningCacheService> {
  const executable = await installExecutable(server);
  return startPrograms(server, options, "ours", () => [[executable, "cache", "serve"]]);
}

/** All write into one log. */
async function startPrograms(
  server: OpenqaServer,
  { directory, port: wanted }: CacheServiceOptions,
  side: "stock" | "ours",
  commandsOf: (instance: number) => readonly (readonly string[])[],
): Promise<RunningCacheService> {
  const port = wanted ?? (await freePorts(1));
  const instance = server.takeInstances(1);
  const cache = { directory, servicePort: port };
  const env = { ...(await configureWorker(server, { instance, workerClass: "none", cache })), ...steadyPerl };
  const log = server.log(`cache-service-${side}-${port}`);
  const logStart = await stat(log).then(
    ({ size }) => size,
    () => 0,
  );
  const marks = [server.mark, createMark()];
  const daemons: Daemon[] = [];
  for (const command of commandsOf(instance)) {
    const daemon = await Daemon.start(command, { user: workerUser, env, log, marks });
    server.addWorkers([daemon]);
    daemons.push(daemon);
    // The next one must not find the directory before the service has laid it out.
    if (daemons.length === 1) await server.ready("cache service", daemon, port);
  }
  const service = new RunningCacheService(port, daemons, logStart);
  await until("the cache service has workers", startLimitMs, () => service.hasWorkers());
  return service;
}
