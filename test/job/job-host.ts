// A worker host in a temporary folder with a pool, a share directory and tests, for one test.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import type { Context, Program } from "../../src/context.ts";
import { formatJobLine, Logger } from "../../src/ops/log.ts";
import { Sandbox } from "../config/sandbox.ts";

export interface LoadOptions {
  readonly instance?: number;
  readonly env?: Program["env"];
}

/** Settings of a slot with this workers.ini; nothing of their folders is left. */
export async function loadedSettings(workersIni: string, options: LoadOptions = {}): Promise<Settings> {
  await using sandbox = await Sandbox.ofWorkersIni(workersIni);
  return await sandbox.load(options);
}

export class JobHost implements AsyncDisposable {
  private constructor(
    private readonly sandbox: Sandbox,
    readonly settings: Settings,
    readonly program: Program,
  ) {}

  /** Files are given by path below the project folder, e.g. "share/factory/iso/a.iso". */
  static async make(
    files: Readonly<Record<string, string>> = {},
    workersIni = "[global]\n",
    env: Program["env"] = {},
  ): Promise<JobHost> {
    const sandbox = await Sandbox.ofWorkersIni(workersIni);
    const host = new JobHost(sandbox, await sandbox.load({ env }), sandbox.program(env));
    await mkdir(host.pool, { recursive: true });
    await host.write(files);
    return host;
  }

  get pool(): string {
    return this.settings.poolDirectory;
  }

  get share(): string {
    return this.path("share");
  }

  /** Below the project folder. */
  path(name: string): string {
    return join(this.settings.projectDirectory, name);
  }

  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) await this.sandbox.write(`base/openqa/${name}`, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
  }
}

/** Keeps the log lines, without their time. */
export function recordingContext(
  signal: AbortSignal = new AbortController().signal,
): Context & { lines: string[] } {
  const lines: string[] = [];
  const log = new Logger([
    (entry) =>
      lines.push(
        formatJobLine(entry, "info")
          .trimEnd()
          .replace(/^\[\S+\] /, ""),
      ),
  ]);
  return { signal, log, lines };
}
