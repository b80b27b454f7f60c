// Processes of an end-to-end run: started as the users they belong to, and found again by a mark that no descendant
// can shed, whatever it forks, execs or clears.
import { open, readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const isRoot = process.getuid?.() === 0;

/**
 * Identifies all that descends from a process. As root: a supplementary group, which a process without privileges
 * cannot give up. Else a variable in the environment.
 */
export type Mark = number;

export function createMark(): Mark {
  return 1_000_000 + Math.floor(Math.random() * 1_000_000_000);
}

export interface StartOptions {
  /** Ignored unless root: everything then runs as the one user there is. */
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** File that stdout and stderr are appended to. */
  readonly log: string;
  readonly marks: readonly Mark[];
}

/** A program in a session of its own. */
export class Daemon {
  private constructor(
    private readonly child: Bun.Subprocess,
    readonly log: string,
  ) {}

  static async start(command: readonly string[], options: StartOptions): Promise<Daemon> {
    const log = await open(options.log, "a");
    try {
      const child = Bun.spawn(["setsid", ...(await as(options.user, options.marks)), ...command], {
        cwd: options.cwd ?? "/",
        env: { ...options.env, ...(isRoot ? {} : environmentMarks(options.marks)) },
        stdin: "ignore",
        stdout: log.fd,
        stderr: log.fd,
      });
      return new Daemon(child, options.log);
    } finally {
      await log.close();
    }
  }

  get pid(): number {
    return this.child.pid;
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves with the exit code; 128 + number for a signal. */
  get exited(): Promise<number> {
    return this.child.exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it, by KILL when it takes longer. Resolves with the exit code. */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 20_000): Promise<number> {
    if (this.isAlive) this.signal(signal);
    const timer = setTimeout(() => this.signal("SIGKILL"), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Runs a program to its end. Throws with its output when it fails. */
export async function run(
  command: readonly string[],
  options: { user?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const prefix = options.user === undefined ? [] : await as(options.user, []);
  const child = Bun.spawn([...prefix, ...command], {
    cwd: "/",
    env: options.env ?? process.env,
    stdin: "ignore",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${command.join(" ")} exited with ${code}: ${errors}${output}`);
  return output;
}

/** Makes folders that belong to a user and that every user may read. */
export async function makeFolders(user: string | undefined, ...paths: string[]): Promise<void> {
  const owner = user === undefined || !isRoot ? [] : ["-o", user];
  await run(["install", "-d", "-m", "755", ...owner, ...paths]);
}

/** Words to put before a command so that it runs as that user, with the marks. */
async function as(user: string, marks: readonly Mark[]): Promise<string[]> {
  if (!isRoot) return [];
  const [gid, groups] = await Promise.all([run(["id", "-g", user]), run(["id", "-G", user])]);
  const all = [...groups.trim().split(" "), ...marks];
  return ["setpriv", "--reuid", user, "--regid", gid.trim(), "--groups", all.join(",")];
}

function environmentMarks(marks: readonly Mark[]): Record<string, string> {
  return Object.fromEntries(marks.map((mark) => [`OPENQA_E2E_${mark}`, "1"]));
}

/** A process, told from a later one of the same number by its start. */
export interface Process {
  readonly pid: number;
  readonly parentPid: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
  readonly isZombie: boolean;
  readonly commandLine: string;
}

/** All living processes with the mark, and zombies whose parent is one of them: that parent should have reaped them. */
export async function processesOf(mark: Mark): Promise<Process[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = (await Promise.all(pids.map((pid) => readProcess(pid, mark)))).filter(
    (one) => one !== undefined,
  );
  const living = new Set(found.filter((one) => !one.isZombie).map((one) => one.pid));
  return found.filter((one) => !one.isZombie || living.has(one.parentPid));
}

async function readProcess(pid: string, mark: Mark): Promise<Process | undefined> {
  try {
    const [status, stat, commandLine] = await Promise.all([
      readFile(`/proc/${pid}/status`, "utf8"),
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/cmdline`, "utf8"),
    ]);
    if (!(await hasMark(pid, status, mark))) return undefined;
    // Fields from the third on: the second one, the name, may hold blanks and brackets (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return {
      pid: Number(pid),
      parentPid: Number(fields[1]),
      startTime: Number(fields[19]),
      isZombie: fields[0] === "Z",
      commandLine: commandLine.replaceAll("\0", " ").trim(),
    };
  } catch {
    return undefined; // ended meanwhile, or another user's
  }
}

async function hasMark(pid: string, status: string, mark: Mark): Promise<boolean> {
  if (!isRoot) return (await readFile(`/proc/${pid}/environ`, "utf8")).includes(`OPENQA_E2E_${mark}=`);
  const groups = /^Groups:(.*)$/m.exec(status)?.[1] ?? "";
  return groups.trim().split(" ").includes(String(mark));
}

/**
 * Ends all with the mark and removes the folder as soon as `close` is called or this process ends, in whatever way.
 * `close` resolves with false when something was left that had to be ended.
 */
export function startSweeper(folder: string, mark: Mark): { close(): Promise<boolean> } {
  const script = fileURLToPath(new URL("sweep.sh", import.meta.url));
  // Forked: when a test takes too long, Bun kills its own children, and this one must outlive the others.
  const child = Bun.spawn(["setsid", "--fork", "--wait", script, folder, String(mark)], {
    stdin: "pipe",
    stdout: "inherit",
    stderr: "inherit",
  });
  return {
    async close() {
      await child.stdin.end();
      return (await child.exited) === 0;
    },
  };
}
