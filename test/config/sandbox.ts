// A host of its own in a temporary folder: configuration directories, project folder, environment.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { StockFlags } from "../../src/config/flags.ts";
import { loadSettings } from "../../src/config/load-settings.ts";
import type { Settings } from "../../src/config/settings.ts";
import type { Program } from "../../src/context.ts";

export const noFlags: StockFlags = { cleanup: true, verbose: false };

export class Sandbox implements AsyncDisposable {
  readonly etc: string;
  readonly usrEtc: string;
  readonly explicit: string;
  readonly home: string;
  readonly base: string;
  readonly cwd: string;

  constructor(readonly folder: string) {
    this.etc = join(folder, "etc/openqa");
    this.usrEtc = join(folder, "usr/etc/openqa");
    this.explicit = join(folder, "explicit");
    this.home = join(folder, "home");
    this.base = join(folder, "base");
    this.cwd = join(folder, "cwd");
  }

  /** With a share directory and the given files, by path below the folder. */
  static async create(files: Readonly<Record<string, string>> = {}): Promise<Sandbox> {
    const sandbox = new Sandbox(await mkdtemp(join(tmpdir(), "openqa-config-")));
    await mkdir(join(sandbox.base, "openqa/share"), { recursive: true });
    await mkdir(sandbox.cwd);
    for (const [path, text] of Object.entries(files)) await sandbox.write(path, text);
    return sandbox;
  }

  /** Of one slot whose system-wide workers.ini is this text. */
  static async ofWorkersIni(text: string): Promise<Sandbox> {
    return Sandbox.create({ "etc/openqa/workers.ini": text });
  }

  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.folder, path)), { recursive: true });
    await writeFile(join(this.folder, path), text);
  }

  program(env: Program["env"] = {}): Program {
    return { env: { OPENQA_BASEDIR: this.base, ...env }, cwd: this.cwd, home: this.home, nodeName: "host" };
  }

  load({
    instance = 1,
    flags = {},
    env = {},
  }: {
    instance?: number;
    flags?: Partial<StockFlags>;
    env?: Program["env"];
  } = {}): Promise<Settings> {
    const program = this.program(env);
    const system = [this.etc, this.usrEtc];
    return loadSettings({ instance, flags: { ...noFlags, ...flags }, program, system });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
