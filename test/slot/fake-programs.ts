// Programs that tests put in place of those of the host: shell scripts in the only folder of PATH.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class FakePrograms implements AsyncDisposable {
  private constructor(readonly folder: string) {}

  static async make(): Promise<FakePrograms> {
    return new FakePrograms(await mkdtemp(join(tmpdir(), "fake-programs-")));
  }

  /** A program that runs the script, which has no other programs than by path; `note` writes a line for `calls`. */
  async put(name: string, script: string): Promise<void> {
    const note = `note() { printf '%s\\n' "$1" >>'${join(this.folder, "calls")}'; }`;
    await writeFile(join(this.folder, name), `#!/bin/sh\n${note}\n${script}\n`, { mode: 0o755 });
  }

  /** What the scripts have noted. */
  async calls(): Promise<string[]> {
    const text = await readFile(join(this.folder, "calls"), "utf8").catch(() => "");
    return text.split("\n").slice(0, -1);
  }

  get env(): Record<string, string> {
    return { PATH: this.folder };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
