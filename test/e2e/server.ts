// A real openQA server on loopback: PostgreSQL, web UI, websocket server, scheduler, live view handler, gru, an rsync
// daemon and nginx in front, as Debian installs them, in a folder of its own.
import { cp, mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Api } from "./api.ts";
import { freeInstances, freePorts, isOpen } from "./ports.ts";
import { createMark, Daemon, type Mark, run, startSweeper } from "./processes.ts";
import { type Ports, portCount, portsFrom } from "./server-files.ts";
import { layOut, postgresPrograms, type ServerOptions, startDaemons, startDatabase } from "./server-setup.ts";
import { until } from "./until.ts";
import { plainEnv } from "./users.ts";

/** How long `startServer` may take where nothing is installed yet. */
export const startLimitMs = 1_200_000;

/** How many instance numbers a server keeps for its workers. */
const instanceCount = 60;

/** One of the programs that make up the server. */
interface Program {
  readonly user: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where it is ready for connections; without: as soon as it was started. */
  readonly port?: number;
}

export class OpenqaServer {
  /** By name, in the order of their first start: the database comes first. */
  private readonly programs = new Map<string, { readonly program: Program; readonly daemon: Daemon }>();
  private readonly workers: Daemon[] = [];
  private instancesTaken = 0;

  constructor(
    /** Everything of this run, for every user to read. */
    readonly folder: string,
    readonly ports: Ports,
    /** On every process of this run. */
    readonly mark: Mark,
    private readonly firstInstance: number,
    private readonly sweeper: { close(): Promise<boolean> },
  ) {}

  /** Base URL, what goes into HOST. */
  get url(): string {
    return `http://127.0.0.1:${this.ports.proxy}`;
  }
  get api(): Api {
    return new Api(this.url);
  }
  get baseFolder(): string {
    return join(this.folder, "base");
  }
  get projectFolder(): string {
    return join(this.baseFolder, "openqa");
  }
  get logFolder(): string {
    return join(this.folder, "log");
  }
  log(name: string): string {
    return join(this.logFolder, `${name}.log`);
  }

  /** The first of `count` consecutive instance numbers that no other worker of this run has. */
  takeInstances(count: number): number {
    const first = this.firstInstance + this.instancesTaken;
    this.instancesTaken += count;
    if (this.instancesTaken > instanceCount) throw new Error("more instances wanted than the run has");
    return first;
  }

  /** Starts one of its programs and waits until it accepts connections. */
  async start(name: string, program: Program): Promise<void> {
    const { user, command, env = {}, port } = program;
    const daemon = await Daemon.start(command, {
      user,
      env: { ...plainEnv(this.folder, user), ...env },
      log: this.log(name),
      marks: [this.mark],
    });
    this.programs.set(name, { program, daemon });
    if (port !== undefined) await this.ready(name, daemon, port);
  }

  /** Ends one of its programs. The others notice what they notice. */
  async stopProgram(name: string, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.running(name).daemon.stop(signal);
  }

  /** Starts a program again that was stopped. */
  async startProgram(name: string): Promise<void> {
    await this.start(name, this.running(name).program);
  }

  private running(name: string) {
    const found = this.programs.get(name);
    if (!found) throw new Error(`the server has no program ${name}, but ${[...this.programs.keys()]}`);
    return found;
  }

  /** A worker is ended together with the server, should its test have failed before. */
  addWorkers(daemons: readonly Daemon[]): void {
    this.workers.push(...daemons);
  }

  /** Waits until a daemon that was just started accepts connections. Throws with its log when it ends instead. */
  async ready(name: string, daemon: Daemon, port: number): Promise<void> {
    await until(`${name} listens on port ${port}`, 90_000, async () => {
      if (!daemon.isAlive) throw new Error(`${name} ended: ${await readFile(daemon.log, "utf8")}`);
      return isOpen(port);
    });
  }

  /** One SQL statement. */
  async sql(statement: string, options: { role: string; database: string }): Promise<string> {
    const connection = [
      "-h",
      "127.0.0.1",
      "-p",
      String(this.ports.postgres),
      "-U",
      options.role,
      "-d",
      options.database,
    ];
    return run([
      `${postgresPrograms}/psql`,
      "-XqAt",
      "-v",
      "ON_ERROR_STOP=1",
      ...connection,
      "-c",
      statement,
    ]);
  }

  /** Copies all logs out of the folder, for a failed test, and returns where to. */
  async keepLogs(): Promise<string> {
    const kept = await mkdtemp(join(tmpdir(), "openqa-worker-e2e-logs-"));
    await cp(this.logFolder, kept, { recursive: true });
    return kept;
  }

  /** Ends everything and removes the folder. Throws when a process was left that nobody had stopped. */
  async stop(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop()));
    const [database, ...others] = [...this.programs.values()].map(({ daemon }) => daemon);
    await Promise.all(others.map((daemon) => daemon.stop()));
    await database?.stop("SIGINT");
    if (!(await this.sweeper.close())) throw new Error("processes were left over, see above");
  }
}

/** Installs what is missing (as root), then starts a server. Throws when it cannot be. */
export async function startServer(options: ServerOptions = {}): Promise<OpenqaServer> {
  await run([fileURLToPath(new URL("install.sh", import.meta.url))]);
  const folder = await mkdtemp(join(tmpdir(), "openqa-worker-e2e-"));
  const mark = createMark();
  const sweeper = startSweeper(folder, mark);
  const ports = portsFrom(await freePorts(portCount));
  const server = new OpenqaServer(folder, ports, mark, await freeInstances(instanceCount), sweeper);
  try {
    await layOut(server);
    await startDatabase(server);
    await startDaemons(server, options);
    return server;
  } catch (error) {
    const logs = await server.keepLogs().catch(() => "nowhere");
    await server.stop().catch(() => {});
    throw new Error(`openQA server did not start, logs kept in ${logs}`, { cause: error });
  }
}
