// A pool directory for one test, and one beside it that nothing may ever reach.
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export class TemporaryPool implements AsyncDisposable {
  readonly directory: string;
  /** Holds the file "secret". */
  readonly outside: string;
  private readonly root: string;

  private constructor(root: string) {
    this.root = root;
    this.directory = join(root, "pool");
    this.outside = join(root, "outside");
  }

  static async make(files: Readonly<Record<string, unknown>> = {}): Promise<TemporaryPool> {
    const pool = new TemporaryPool(await mkdtemp(join(tmpdir(), "openqa-worker-pool-")));
    await mkdir(pool.directory);
    await mkdir(pool.outside);
    await writeFile(join(pool.outside, "secret"), "secret");
    await pool.write(files);
    return pool;
  }

  /** As isotovideo does it: text as it is, everything else as JSON, put in place by rename. */
  async write(files: Readonly<Record<string, unknown>>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      const path = join(this.directory, name);
      await mkdir(dirname(path), { recursive: true });
      const isRaw = typeof content === "string" || content instanceof Uint8Array;
      await writeFile(`${path}.new`, isRaw ? content : JSON.stringify(content));
      await rename(`${path}.new`, path);
    }
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

export async function makeFifo(path: string): Promise<void> {
  if ((await Bun.spawn(["mkfifo", path]).exited) !== 0) throw new Error(`No FIFO at ${path}`);
}
