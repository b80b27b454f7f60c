// What a new server consists of: its folders and files, its database, its programs.
import { chmod, writeFile } from "node:fs/promises";
import { makeFolders, run } from "./processes.ts";
import type { OpenqaServer } from "./server.ts";
import {
  clientConf,
  credentials,
  databaseIni,
  nginxConf,
  openqaIni,
  postgresqlConf,
  rsyncdConf,
} from "./server-files.ts";
import { until } from "./until.ts";
import { databaseUser, plainEnv, webUser, workerUser } from "./users.ts";

const openqaScripts = "/usr/share/openqa/script";
export const postgresPrograms = "/usr/lib/postgresql/15/bin";

export interface ServerOptions {
  /** Port that nginx is to send websockets to instead, given the websocket server's own. */
  readonly websocketVia?: (websocketPort: number) => number;
  /** Of the web UI, each serves one connection at a time: an open stream takes one up. Default: 3. */
  readonly webUiProcesses?: number;
}

export async function layOut(server: OpenqaServer): Promise<void> {
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
  await makeFolders(databaseUser, `${folder}/postgres`, `${folder}/home-${databaseUser}`);
  await chmod(server.logFolder, 0o777);
  await Promise.all([
    writeFile(`${folder}/etc/openqa.ini`, openqaIni),
    writeFile(`${folder}/etc/database.ini`, databaseIni(server.ports)),
    writeFile(`${folder}/etc/client.conf`, clientConf()),
    writeFile(`${folder}/etc/rsyncd.conf`, rsyncdConf(server.ports, folder)),
  ]);
}

export async function startDatabase(server: OpenqaServer): Promise<void> {
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
  await run(initialise, { user: databaseUser });
  const settings = postgresqlConf(server.ports, `${server.folder}/postgres`);
  await writeFile(`${data}/postgresql.conf`, settings, { flag: "a" });
  const command = [`${postgresPrograms}/postgres`, "-D", data];
  await server.start("postgres", { user: databaseUser, command, port: server.ports.postgres });
  const admin = { role: "postgres", database: "postgres" };
  await until("the database accepts connections", 30_000, () =>
    server.sql("select 1", admin).then(Boolean, () => false),
  );
  await server.sql("create role geekotest login", admin);
  await server.sql("create database openqa owner geekotest", admin);
}

export async function startDaemons(server: OpenqaServer, options: ServerOptions): Promise<void> {
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
  const start = (name: string, port: number | undefined, ...command: string[]) =>
    server.start(name, { user: webUser, command, env, ...(port === undefined ? {} : { port }) });

  await writeFile(
    `${folder}/etc/nginx.conf`,
    nginxConf(ports, folder, options.websocketVia?.(ports.websockets) ?? ports.websockets),
  );
  const processes = options.webUiProcesses ?? 3;
  const prefork = `prefork -m production --proxy -i 100 -H 400 -w ${processes} -c 1 -G 800`.split(" ");
  const nginx = ["-p", `${folder}/nginx`, "-e", server.log("nginx-error"), "-c", `${folder}/etc/nginx.conf`];
  await Promise.all([
    start("websockets", ports.websockets, `${openqaScripts}/openqa-websockets-daemon`),
    start(
      "webui",
      ports.webUi,
      `${openqaScripts}/openqa`,
      ...prefork,
      "-P",
      `${server.folder}/home-${webUser}/webui.pid`,
    ),
    start("scheduler", ports.scheduler, `${openqaScripts}/openqa-scheduler-daemon`),
    start("livehandler", ports.livehandler, `${openqaScripts}/openqa-livehandler-daemon`),
    start("nginx", ports.proxy, "nginx", ...nginx),
    start("rsyncd", ports.rsync, "rsync", "--daemon", "--no-detach", `--config=${folder}/etc/rsyncd.conf`),
  ]);
  await until("the web UI answers", 60_000, () =>
    fetch(`${server.url}/api/v1/workers`).then((answer) => answer.ok),
  );
  await start("gru", undefined, "nice", "-n", "19", `${openqaScripts}/openqa-gru`);
}
