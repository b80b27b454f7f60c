// A real openQA server on loopback: PostgreSQL, web UI, websocket server, scheduler, live view handler, gru, an rsync
// daemon and nginx in front, as Debian installs them, in a folder of its own.
import { chmod, cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Api } from "./api.ts";
import { freeInstances, freePorts, isOpen } from "./ports.ts";
import { createMark, Daemon, type Mark, makeFolders, run, startSweeper } from "./processes.ts";
import {
  clientConf,
  credentials,
  databaseIni,
  nginxConf,
  openqaIni,
  type Ports,
  portCount,
  portsFrom,
  postgresqlConf,
  rsyncdConf,
} from "./server-files.ts";
import { until } from "./until.ts";

const webUser = "geekotest";
export const workerUser = "_openqa-worker";
const postgresPrograms = "/usr/lib/postgresql/15/bin";
const openqaScripts = "/usr/share/openqa/script";

/** How long `startServer` may take where nothing is installed yet. */
export const startLimitMs = 1_200_000;

/** How many instance numbers a server keeps for its workers. */
const instanceCount = 60;

export interface ServerOptions {
  /** Port that nginx is to send websockets to instead, given the websocket server's own. */
  readonly websocketVia?: (websocketPort: number) => number;
}

export class OpenqaServer {
  private readonly daemons: Daemon[] = [];
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

  async start(
    name: string,
    user: string,
    command: readonly string[],
    env: Record<string, string> = {},
  ): Promise<Daemon> {
    const options = {
      user,
      env: { ...plainEnv(this.folder, user), ...env },
      log: this.log(name),
      marks: [this.mark],
    };
    const daemon = await Daemon.start(command, options);
    this.daemons.push(daemon);
    return daemon;
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
    const [database, ...others] = this.daemons;
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

/** Environment of a program that starts with nothing inherited. */
export function plainEnv(folder: string, user: string): Record<string, string> {
  return {
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    USER: user,
    HOME: join(folder, `home-${user}`),
  };
}

async function layOut(server: OpenqaServer): Promise<void> {
  const { folder, projectFolder: project } = server;
  await chmod(folder, 0o755);
  await run(["test", "-x", folder], { user: workerUser }).catch(() => {
    throw new Error(`${folder} must lie where every user may go: set TMPDIR to such a folder`);
  });
  const factory = ["iso/fixed", "hdd/fixed", "other", "repo", "tmp"].map(
    (name) => `${project}/share/factory/${name}`,
  );
  const kinds = ["iso", "hdd"].map((name) => `${project}/share/factory/${name}`);
  await makeFolders(undefined, `${folder}/etc`, server.logFolder, server.baseFolder, project);
  await makeFolders(
    webUser,
    `${folder}/home-${webUser}`,
    `${folder}/nginx`,
    `${project}/share`,
    `${project}/share/factory`,
  );
  await makeFolders(
    webUser,
    ...["db", "images", "testresults", "webui/cache"].map((name) => `${project}/${name}`),
  );
  await makeFolders(webUser, `${project}/webui`, `${project}/share/tests`, ...kinds, ...factory);
  await makeFolders(workerUser, `${folder}/home-${workerUser}`, `${project}/pool`);
  await makeFolders("postgres", `${folder}/postgres`, `${folder}/home-postgres`);
  await chmod(server.logFolder, 0o777);
  await Promise.all([
    writeFile(`${folder}/etc/openqa.ini`, openqaIni),
    writeFile(`${folder}/etc/database.ini`, databaseIni(server.ports)),
    writeFile(`${folder}/etc/client.conf`, clientConf()),
    writeFile(`${folder}/etc/rsyncd.conf`, rsyncdConf(server.ports, folder)),
  ]);
}

async function startDatabase(server: OpenqaServer): Promise<void> {
  const data = `${server.folder}/postgres/data`;
  const initialise = [
    `${postgresPrograms}/initdb`,
    "-D",
    data,
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale=C.UTF-8",
    "-U",
    "postgres",
  ];
  await run(initialise, { user: "postgres" });
  const settings = postgresqlConf(server.ports, `${server.folder}/postgres`);
  await writeFile(`${data}/postgresql.conf`, settings, { flag: "a" });
  const daemon = await server.start("postgres", "postgres", [`${postgresPrograms}/postgres`, "-D", data]);
  await server.ready("postgres", daemon, server.ports.postgres);
  const admin = { role: "postgres", database: "postgres" };
  await until("the database accepts connections", 30_000, () =>
    server.sql("select 1", admin).then(Boolean, () => false),
  );
  await server.sql("create role geekotest login", admin);
  await server.sql("create database openqa owner geekotest", admin);
}

async function startDaemons(server: OpenqaServer, options: ServerOptions): Promise<void> {
  const { folder, ports } = server;
  const env = {
    OPENQA_CONFIG: `${folder}/etc`,
    OPENQA_BASEDIR: server.baseFolder,
    OPENQA_BASE_PORT: String(ports.webUi),
    OPENQA_SCHEDULER_SCHEDULE_TICK_MS: "2000",
  };
  const once = { user: webUser, env: { ...plainEnv(folder, webUser), ...env } };
  await run([`${openqaScripts}/initdb`, "--init_database"], once);
  await run(
    [`${openqaScripts}/create_admin`, "e2e", "--key", credentials.key, "--secret", credentials.secret],
    once,
  );
  // Stock workers of several servers on one machine share cgroups named by the job's number alone.
  const firstJob = 10_000_000 + Math.floor(Math.random() * 80_000_000);
  const owner = { role: "geekotest", database: "openqa" };
  await server.sql(`alter sequence jobs_id_seq restart with ${firstJob}`, owner);
  const start = (name: string, ...command: string[]) => server.start(name, webUser, command, env);

  await writeFile(
    `${folder}/etc/nginx.conf`,
    nginxConf(ports, folder, options.websocketVia?.(ports.websockets) ?? ports.websockets),
  );
  const prefork = [
    "prefork",
    "-m",
    "production",
    "--proxy",
    "-i",
    "100",
    "-H",
    "400",
    "-w",
    "3",
    "-c",
    "1",
    "-G",
    "800",
  ];
  const daemons = await Promise.all([
    start("websockets", `${openqaScripts}/openqa-websockets-daemon`),
    start("webui", `${openqaScripts}/openqa`, ...prefork, "-P", `${folder}/home-${webUser}/webui.pid`),
    start("scheduler", `${openqaScripts}/openqa-scheduler-daemon`),
    start("livehandler", `${openqaScripts}/openqa-livehandler-daemon`),
    start(
      "nginx",
      "nginx",
      "-p",
      `${folder}/nginx`,
      "-e",
      server.log("nginx-error"),
      "-c",
      `${folder}/etc/nginx.conf`,
    ),
    start("rsyncd", "rsync", "--daemon", "--no-detach", `--config=${folder}/etc/rsyncd.conf`),
  ]);
  const listening = [
    ports.websockets,
    ports.webUi,
    ports.scheduler,
    ports.livehandler,
    ports.proxy,
    ports.rsync,
  ];
  const names = ["websockets", "webui", "scheduler", "livehandler", "nginx", "rsyncd"];
  await Promise.all(
    daemons.map((daemon, index) => server.ready(names[index] ?? "", daemon, listening[index] ?? 0)),
  );
  await until("the web UI answers", 60_000, () =>
    fetch(`${server.url}/api/v1/workers`).then((answer) => answer.ok),
  );
  await start("gru", "nice", "-n", "19", `${openqaScripts}/openqa-gru`);
}
