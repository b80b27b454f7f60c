// Subcommands of our executable that come to an end, run as the worker's user.
import { Daemon } from "./processes.ts";
import type { OpenqaServer } from "./server.ts";
import { workerUser } from "./users.ts";
import { installExecutable } from "./worker-folder.ts";

export interface Ended {
  readonly exitCode: number;
  /** stdout and stderr. */
  readonly output: string;
}

/** `name` is that of its log, to which nothing else is written. */
export async function startOurCommand(
  server: OpenqaServer,
  name: string,
  env: Readonly<Record<string, string>>,
  words: readonly string[],
): Promise<Daemon> {
  const program = await installExecutable(server);
  const options = { user: workerUser, env, log: server.log(name), marks: [server.mark] };
  const daemon = await Daemon.start([program, ...words], options);
  server.addWorkers([daemon]);
  return daemon;
}

export async function endOf(command: Daemon): Promise<Ended> {
  return { exitCode: await command.exited, output: await Bun.file(command.log).text() };
}
