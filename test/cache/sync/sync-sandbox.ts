// A cache directory, tests to sync from, and a folder for programs in place of rsync, for one test.
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type CacheFolder, openCacheFolder } from "../../../src/cache/cache-folder.ts";
import { type SyncOptions, syncTests } from "../../../src/cache/sync/sync-tests.ts";
import { recordingContext } from "../../job/job-host.ts";

const settings: SyncOptions["settings"] = { timeoutMs: 10_000, tries: 2, retryDelayMs: 1, rounds: 2 };

export class SyncSandbox implements AsyncDisposable {
  private constructor(
    readonly path: string,
    readonly folder: CacheFolder,
  ) {}

  static async create(files: Readonly<Record<string, string>> = {}): Promise<SyncSandbox> {
    const path = await realpath(await mkdtemp(join(tmpdir(), "sync-tests-")));
    const sandbox = new SyncSandbox(path, await openCacheFolder(join(path, "cache")));
    await mkdir(sandbox.source);
    for (const [name, text] of Object.entries(files)) await sandbox.write(name, text);
    return sandbox;
  }

  get source(): string {
    return join(this.path, "source");
  }
  get hostDirectory(): string {
    return join(this.folder.directory, "host");
  }

  async write(name: string, text: string): Promise<void> {
    const path = join(this.path, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }

  /** Puts a shell script in place of rsync. It runs in the sandbox, and each run leaves its word in `runs`. */
  async replaceRsync(script: string): Promise<void> {
    await this.write("bin/rsync", `#!/bin/sh\ncd ${this.path}\necho "\${MARK:-run}" >>runs\n${script}\n`);
    await chmod(join(this.path, "bin/rsync"), 0o755);
  }

  /** Words of the runs so far. */
  async runs(): Promise<string[]> {
    const text = await readFile(join(this.path, "runs"), "utf8").catch(() => "");
    return text.split("\n").slice(0, -1);
  }

  /** What the tests' folder has, sorted. */
  async synced(): Promise<string[]> {
    return (await readdir(join(this.hostDirectory, "tests"), { recursive: true })).sort();
  }

  /** Syncs; an error is the outcome too. */
  async sync(
    options: Partial<SyncOptions> & { readonly source?: string; readonly mark?: string } = {},
    context = recordingContext(),
  ) {
    const { source = this.source, mark, ...others } = options;
    const environment = {
      PATH: `${join(this.path, "bin")}:${process.env["PATH"]}`,
      ...(mark !== undefined && { MARK: mark }),
    };
    const all = { folder: this.folder, settings, lockRetryMs: 5, environment, ...others };
    const outcome = await syncTests({ source, hostDirectory: this.hostDirectory }, all, context).then(
      ({ output }) => ({ output, error: undefined }),
      (error: unknown) => ({ output: undefined, error }),
    );
    return { ...outcome, lines: context.lines };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
