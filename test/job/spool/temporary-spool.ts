// A pool with the end of a job in it and a spool beside it, for one test.
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Spool } from "../../../src/job/spool/spool.ts";
import { type SpoolDisk, spoolDisk } from "../../../src/job/spool/spool-disk.ts";
import { type JobState, writeJobState } from "../../../src/job/state-file.ts";
import { TemporaryPool } from "../../results/temporary-pool.ts";

export const endedJob: JobState = {
  format: 1,
  job: { id: "12", settings: { JOBTOKEN: "token" } },
  host: "https://openqa.example.com",
  workerId: 3,
  phase: "delivering",
  acceptedAt: 1_700_000_000_000,
};

/** What every job leaves that the end of a job needs. */
export const neededFiles = {
  "testresults/test_order.json": "[]",
  "testresults/boot-1.png": "picture",
  "testresults/.thumbs/boot-1.png": "thumbnail",
  "ulogs/y2logs.tar": "ulog",
  "autoinst-log.txt": "log",
  "vars.json": '{"A":"b"}',
} as const;

export const week = 7 * 24 * 3600 * 1000;

export class TemporarySpool implements AsyncDisposable {
  private constructor(
    private readonly root: string,
    readonly pool: TemporaryPool,
  ) {}

  static async make(files: Readonly<Record<string, string>> = neededFiles): Promise<TemporarySpool> {
    const root = await mkdtemp(join(tmpdir(), "openqa-worker-spool-"));
    const pool = await TemporaryPool.make(files);
    await writeJobState(pool.directory, endedJob);
    return new TemporarySpool(root, pool);
  }

  get directory(): string {
    return join(this.root, "state/spool/1");
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  open({
    disk = {},
    now = Date.now,
    keepRefusedMs = week,
    keepRefusedBytes = 1e6,
  }: {
    readonly disk?: Partial<SpoolDisk>;
    readonly now?: () => number;
    readonly keepRefusedMs?: number;
    readonly keepRefusedBytes?: number;
  } = {}): Spool {
    const limits = { keepRefusedMs, keepRefusedBytes };
    return new Spool(this.directory, limits, { ...spoolDisk, ...disk }, now);
  }

  /** To be given to `take`. */
  ended(state: Partial<JobState> = {}, isVarsRedacted = true) {
    return { poolDirectory: this.pool.directory, state: { ...endedJob, ...state }, isVarsRedacted };
  }

  /** What waits, written without a pool. */
  async put(name: string, state: Partial<JobState> | string): Promise<string> {
    const directory = this.path(`waiting/${name}`);
    await writeJobState(directory, { ...endedJob, ...(typeof state === "string" ? {} : state) });
    if (typeof state === "string") await writeFile(join(directory, ".openqa-worker/job.json"), state);
    return directory;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Renames from a directory fail as they do between file systems. */
export function onOtherFileSystem(directory: string): Partial<SpoolDisk> {
  return {
    rename: async (from, to) => {
      const isInside = (path: unknown) => String(path).startsWith(`${directory}/`);
      if (isInside(from) !== isInside(to)) throw failure("EXDEV", "cross-device link not permitted");
      await spoolDisk.rename(from, to);
    },
  };
}

export function failure(code: string, text: string): Error {
  return Object.assign(new Error(`${code}: ${text}`), { code });
}

/** All files and links below a directory by path, with their content. */
export async function filesBelow(directory: string, below = ""): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  // Bun's own recursion follows links.
  for (const entry of await readdir(join(directory, below), { withFileTypes: true }).catch(() => [])) {
    const name = join(below, entry.name);
    const path = join(directory, name);
    if (entry.isSymbolicLink()) found[name] = `-> ${await readlink(path)}`;
    else if (entry.isFile()) found[name] = await readFile(path, "utf8");
    else if (entry.isDirectory()) Object.assign(found, await filesBelow(directory, name));
    else found[name] = "special";
  }
  return found;
}

/** The same without what is kept for the worker itself. */
export async function jobFilesIn(directory: string): Promise<Record<string, string>> {
  const files = Object.entries(await filesBelow(directory));
  return Object.fromEntries(files.filter(([name]) => !name.startsWith(".openqa-worker/")));
}
