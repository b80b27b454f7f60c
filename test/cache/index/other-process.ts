// Starts index-user.ts as another process.
import { join } from "node:path";
import type { CacheFolder } from "../../../src/cache/cache-folder.ts";

const script = join(import.meta.dir, "index-user.ts");

export class OtherProcess implements AsyncDisposable {
  private readonly process: Bun.Subprocess<"ignore", "pipe", "inherit">;
  private readonly output: AsyncIterator<Uint8Array>;

  constructor({ directory }: CacheFolder, ...action: readonly string[]) {
    this.process = Bun.spawn([process.execPath, script, directory, ...action], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.output = this.process.stdout[Symbol.asyncIterator]();
  }

  /** Resolves with what it says first. */
  async firstWords(): Promise<string> {
    const { value } = await this.output.next();
    return new TextDecoder().decode(value);
  }

  /** The rest of what it says, until it ends. */
  async rest(): Promise<string> {
    const pieces: Uint8Array[] = [];
    for (let piece = await this.output.next(); !piece.done; piece = await this.output.next())
      pieces.push(piece.value);
    await this.process.exited;
    return Buffer.concat(pieces).toString();
  }

  get pid(): number {
    return this.process.pid;
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.process.exited;
  }
}
