// The file "live_log" in the pool: as long as it is there, isotovideo writes pictures of the screen (protocol 4.6).
// A job may have put anything there: what is no regular file is neither followed nor removed.
import { lstat, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";

export class LiveLogFile {
  private readonly path: string;
  private lastStep: Promise<void> = Promise.resolve();

  constructor(poolDirectory: string) {
    this.path = join(poolDirectory, "live_log");
  }

  /** Puts the file there or removes it, after what earlier calls asked for. A failure is logged. */
  set(isWanted: boolean, log: Logger): Promise<void> {
    this.lastStep = this.lastStep.then(() => this.step(isWanted, log));
    return this.lastStep;
  }

  private async step(isWanted: boolean, log: Logger): Promise<void> {
    try {
      const stats = await lstat(this.path).catch(unlessMissing);
      if (stats && !stats.isFile()) log.warn(`Leaving ${this.path} alone: it is no regular file`);
      else if (stats && !isWanted) await unlink(this.path);
      // Exclusive: never through a link that was put there in between.
      else if (!stats && isWanted) await (await open(this.path, "wx")).close();
    } catch (error) {
      log.warn(`Unable to ${isWanted ? "create" : "remove"} ${this.path}: ${errorText(error)}`);
    }
  }
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
  throw error;
}
