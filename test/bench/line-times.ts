// When lines were appended to a file.
import { stat } from "node:fs/promises";

export interface TimedLine {
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly atMs: number;
}

/** Lines appended to a file from now on, as they come, until this is disposed of. */
export class LineTimes implements AsyncDisposable {
  readonly lines: TimedLine[] = [];
  private readonly isRead: Promise<void>;

  private constructor(private readonly tail: Bun.Subprocess<"ignore", "pipe", "inherit">) {
    this.isRead = this.read();
  }

  static async follow(path: string): Promise<LineTimes> {
    const from = `--bytes=+${(await stat(path)).size + 1}`;
    const stdio = ["ignore", "pipe", "inherit"] as const;
    return new LineTimes(Bun.spawn(["tail", from, "--follow", path], { stdio: [...stdio] }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.tail.kill();
    await this.isRead;
  }

  private async read(): Promise<void> {
    let pending = "";
    for await (const text of this.tail.stdout.pipeThrough(new TextDecoderStream())) {
      const atMs = Date.now();
      const lines = (pending + text).split("\n");
      pending = lines.pop() ?? "";
      this.lines.push(...lines.map((line) => ({ text: line, atMs })));
    }
  }
}
