// Runs the built executable as a worker host of its own: temporary folders, configuration for fake web UIs, small
// delays, its log, its end, and what it leaves over.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BornProcess, livingDescendants } from "./born-processes.ts";
import type { FakeWebUi } from "./fake-web-ui.ts";

export const executable = join(import.meta.dir, "../../dist/openqa-worker");
export const fakeIsotovideo = join(import.meta.dir, "fake-isotovideo");

export interface TemporaryWorkerOptions {
  /** As after `--instance`; default 1. */
  readonly instances?: string;
  /** More keys of [global] in workers.ini. */
  readonly global?: Readonly<Record<string, string | number>>;
  /** Keys of the section of each web UI host in workers.ini. */
  readonly hostSections?: Readonly<Record<string, string>>;
  /** Own settings by "table.key", over the small ones used here. */
  readonly own?: Readonly<Record<string, number>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** Command that the executable and its flags are given to, such as `unshare`; it must become the executable. */
  readonly launcher?: readonly string[];
  /** Other workers are started and stopped meanwhile. */
  readonly isSideBySide?: boolean;
}

/** Settings of a job that the share directory has everything for. */
export const plainJob = { DISTRI: "fake", VERSION: "1", ISO: "fake.iso", FAKE_MODULES: "boot:ok,shell:ok" };

export async function startWorker(uis: FakeWebUi | FakeWebUi[], options: TemporaryWorkerOptions = {}) {
  if (!(await Bun.file(executable).exists())) throw new Error(`${executable} is not there: build it first`);
  const born = new Set((await livingDescendants()).map(identity));
  const folder = await mkdtemp(join(tmpdir(), "openqa-worker-test-"));
  await fillFolder(folder, Array.isArray(uis) ? uis : [uis], options);
  return new TemporaryWorker(folder, options, born);
}

export class TemporaryWorker {
  /** Everything below is removed by `stop`. */
  readonly folder: string;
  /** All that it wrote to stdout and stderr. */
  log = "";
  private readonly options: TemporaryWorkerOptions;
  private readonly bornBefore: ReadonlySet<string>;
  private readonly child: ChildProcess;
  private readonly exited: Promise<{ code: number | null; signal: string | null }>;
  private readonly lookers = new Set<() => void>();

  constructor(folder: string, options: TemporaryWorkerOptions, bornBefore: ReadonlySet<string>) {
    this.folder = folder;
    this.options = options;
    this.bornBefore = bornBefore;
    const flags = [
      "--instance",
      options.instances ?? "1",
      "--isotovideo",
      fakeIsotovideo,
      ...(options.flags ?? []),
    ];
    const env = { ...process.env, ...environment(folder), ...options.env };
    const [program = "", ...words] = [...(options.launcher ?? []), executable, "run", ...flags];
    this.child = spawn(program, words, {
      cwd: folder,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.log += text;
        for (const look of this.lookers) look();
      });
    this.exited = once(this.child, "close").then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }
  /** Pool directory of a slot. */
  pool(instance = 1): string {
    return join(this.folder, "openqa/pool", String(instance));
  }

  /** A second worker with the same folders and configuration; its `stop` leaves them. */
  startAnother(): TemporaryWorker {
    return new TemporaryWorker(this.folder, this.options, this.bornBefore);
  }

  /** Resolves with the match as soon as the log has it; `from` is an offset in the log. */
  async awaitLog(regex: RegExp, { from = 0, timeoutMs = 20_000 } = {}): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = () => {
      const match = regex.exec(this.log.slice(from));
      if (match) resolve(match);
    };
    const fail = (why: string) =>
      reject(new Error(`No ${regex} in the log ${why}:\n${this.log.slice(-4000)}`));
    const timer = setTimeout(() => fail(`within ${timeoutMs} ms`), timeoutMs);
    this.lookers.add(look);
    look();
    void this.exited.then(() => fail("before the end"));
    return await promise.finally(() => {
      clearTimeout(timer);
      this.lookers.delete(look);
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Its exit code and signal, when it has ended. */
  async exit(timeoutMs = 30_000): Promise<{ code: number | null; signal: string | null }> {
    const { promise, reject } = Promise.withResolvers<never>();
    const fail = () => reject(new Error(`Still running after ${timeoutMs} ms:\n${this.log.slice(-4000)}`));
    const timer = setTimeout(fail, timeoutMs);
    return await Promise.race([this.exited, promise]).finally(() => clearTimeout(timer));
  }

  /** Every process alive now that this worker host has brought into being, the worker and its supervisors included. */
  async bornSince(): Promise<BornProcess[]> {
    const born = (await livingDescendants()).filter((one) => !this.bornBefore.has(identity(one)));
    if (!this.options.isSideBySide) return born;
    const isMine = await Promise.all(born.map(({ pid }) => knows(pid, this.folder)));
    return born.filter((_, index) => isMine[index]);
  }

  /** Those of them that run something else than the worker's own program: the jobs' processes. */
  async jobProcesses(): Promise<BornProcess[]> {
    return (await this.bornSince()).filter(({ program }) => !program.startsWith(executable));
  }

  /** The supervisors of running jobs. */
  async supervisors(): Promise<BornProcess[]> {
    return (await this.bornSince()).filter(({ command }) => command.includes(" __supervise"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** KILLs whatever is left and removes the folders. */
  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
    await this.exited;
    const deadline = performance.now() + 10_000;
    for (let left = await this.bornSince(); left.length > 0; left = await this.bornSince()) {
      if (performance.now() > deadline) throw new Error(`Cannot end ${left.map(({ command }) => command)}`);
      for (const { pid } of left) killQuietly(pid);
      await Bun.sleep(5);
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It was faster.
  }
}

/** Whether a process has the folder in its environment. */
async function knows(pid: number, folder: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
  return environment.includes(folder);
}

function identity({ pid, startTicks }: BornProcess): string {
  return `${pid} ${startTicks}`;
}

function environment(folder: string): Record<string, string> {
  return {
    OPENQA_BASEDIR: folder,
    OPENQA_CONFIG: join(folder, "etc"),
    OPENQA_WORKER_CONNECT_INTERVAL: "0.2",
    OPENQA_UPLOAD_DELAY: "0.05",
    OPENQA_WORKER_EPHEMERAL_RECHECK_INTERVAL: "0.2",
  };
}

const smallGlobal = {
  WORKER_CLASS: "fake",
  WORKER_HOSTNAME: "127.0.0.1",
  RETRIES: 3,
  RETRY_DELAY: 0.05,
  RETRY_DELAY_IF_WEBUI_BUSY: 0.1,
  STATUS_MIN_INTERVAL: 0.1,
  STATUS_MAX_INTERVAL: 0.2,
  CRITICAL_LOAD_AVG_THRESHOLD: 0,
};

const smallOwn = {
  "timeouts.answer_ms": 5000,
  "timeouts.idle_ms": 2000,
  "timeouts.request_ms": 10_000,
  "timeouts.websocket_ms": 2000,
  "stop.grace_ms": 1000,
  "stop.total_ms": 10_000,
  "report.interval_ms": 200,
};

async function fillFolder(
  folder: string,
  uis: FakeWebUi[],
  { global, own, hostSections }: TemporaryWorkerOptions,
): Promise<void> {
  const share = join(folder, "openqa/share");
  for (const path of ["etc", "openqa/pool", "openqa/share/factory/iso", "openqa/share/tests/fake/needles"])
    await mkdir(join(folder, path), { recursive: true });
  await writeFile(join(share, "factory/iso/fake.iso"), "bytes of an iso");
  await writeFile(join(share, "tests/fake/main.pm"), "1;\n");
  const host = uis.map(({ url }) => url).join(" ");
  const sections = [
    ini("global", { HOST: host, ...smallGlobal, ...global }),
    ...(hostSections ? uis.map(({ url }) => ini(url, hostSections)) : []),
  ];
  await writeFile(join(folder, "etc/workers.ini"), sections.join(""));
  const credentials = { key: uis[0]?.key ?? "", secret: uis[0]?.secret ?? "" };
  await writeFile(join(folder, "etc/client.conf"), ini("127.0.0.1", credentials));
  await writeFile(join(folder, "etc/openqa-worker.toml"), toml({ ...smallOwn, ...own }));
}

function ini(section: string, values: Readonly<Record<string, string | number>>): string {
  return [`[${section}]`, ...Object.entries(values).map(([key, value]) => `${key} = ${value}`), ""].join(
    "\n",
  );
}

/** Dotted keys: "stop.grace_ms = 5". */
function toml(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join("");
}
