// A pool directory for tests that start processes in it, and the kernel's answer to what of them is still alive.
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Context } from "../../src/context.ts";
import type { IsotovideoRun } from "../../src/isotovideo/isotovideo-run.ts";
import { startIsotovideo } from "../../src/isotovideo/start.ts";
import { type LogEntry, Logger } from "../../src/ops/log.ts";
import { type BornProcess, livingDescendants } from "../support/born-processes.ts";

const fakeIsotovideo = join(import.meta.dir, "../support/fake-isotovideo");
export const nasty = { FAKE_NASTY: "1", FAKE_SECONDS: "60" };
export const nastyAndQuick = { FAKE_NASTY: "1", FAKE_SECONDS: "0.3", FAKE_EXIT: "4" };

interface StartOptions {
  readonly graceMs?: number;
  readonly context?: Context;
  readonly supervisorCommand?: readonly string[];
}

export class Pool {
  readonly logged: LogEntry[] = [];
  private readonly abort = new AbortController();

  private constructor(
    readonly folder: string,
    private readonly bornBefore: ReadonlySet<string>,
  ) {}

  static async create(): Promise<Pool> {
    const born = new Set((await livingDescendants()).map(identity));
    return new Pool(await mkdtemp(join(tmpdir(), "isotovideo-")), born);
  }

  get context(): Context {
    return { signal: this.abort.signal, log: new Logger([(entry) => this.logged.push(entry)]) };
  }
  get logText(): string {
    return this.logged.map(({ level, text }) => `[${level}] ${text}\n`).join("");
  }

  /** Runs a shell script in place of isotovideo. */
  async start(script: string, options: StartOptions = {}): Promise<IsotovideoRun> {
    return await this.startCommand(["/bin/sh", "-c", script], options);
  }

  /** Runs the fake isotovideo with these settings, and waits until it is under way. */
  async startFake(vars: Readonly<Record<string, string>>, graceMs = 30_000): Promise<IsotovideoRun> {
    await writeFile(join(this.folder, "vars.json"), JSON.stringify({ NAME: "fake", ...vars }));
    const run = await this.startCommand(["perl", fakeIsotovideo, "-d"], { graceMs });
    await Promise.race([run.ended, this.awaitFile("video.ogv")]);
    return run;
  }

  async startCommand(
    command: readonly string[],
    { graceMs = 30_000, context = this.context, ...more }: StartOptions = {},
  ): Promise<IsotovideoRun> {
    const environment = { PATH: process.env["PATH"] ?? "", BUN_SOMETHING: "1", FOR_THE_JOB: "2" };
    const start = { poolDirectory: this.folder, jobId: 12, logFile: this.path("autoinst-log.txt") };
    return await startIsotovideo({ ...start, command, environment, graceMs, ...more }, context);
  }

  path(name: string): string {
    return join(this.folder, name);
  }
  async read(name: string): Promise<string> {
    return await readFile(this.path(name), "utf8");
  }

  /** Resolves as soon as there is such a file with something in it. */
  async awaitFile(name: string): Promise<string> {
    return await until(`${name} is there`, async () => (await this.read(name).catch(() => "")) || undefined);
  }

  /** Every process alive now that was born since this was created. */
  async alive(): Promise<BornProcess[]> {
    return (await livingDescendants()).filter((one) => !this.bornBefore.has(identity(one)));
  }

  /** What this process has open in the pool. */
  async openFiles(): Promise<string[]> {
    const descriptors = await readdir("/proc/self/fd");
    const paths = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")));
    return paths.filter((path) => path.startsWith(this.folder));
  }

  async remove(): Promise<void> {
    this.abort.abort();
    await until("all processes of the test have ended", async () => {
      const left = await this.alive();
      for (const { pid } of left) process.kill(pid, "SIGKILL");
      return left.length === 0 || undefined;
    });
    await rm(this.folder, { recursive: true });
  }

  async makeFolder(name: string): Promise<void> {
    await mkdir(this.path(name), { recursive: true });
  }
}

/** The value, as soon as there is one. */
export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    const value = await look();
    if (value !== undefined) return value;
    await Bun.sleep(5);
  }
  throw new Error(`Not within 20 s: ${what}`);
}

function identity({ pid, startTicks }: BornProcess): string {
  return `${pid} ${startTicks}`;
}
