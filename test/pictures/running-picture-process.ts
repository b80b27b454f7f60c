// The picture process, started from source, and what a test tells it.
import { join } from "node:path";
import {
  type PictureAnswer,
  type PictureRequest,
  pictureAnswerSchema,
} from "../../src/pictures/picture-messages.ts";

const main = join(import.meta.dir, "../../commands/main.ts");

export class RunningPictureProcess implements AsyncDisposable {
  readonly child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  private readonly lines: AsyncGenerator<string, void>;
  private lastId = 0;

  /** `prefix`: a program that starts it. */
  constructor(prefix: readonly string[] = []) {
    const command = [...prefix, process.execPath, main, "__pictures"];
    this.child = Bun.spawn(command, { detached: true, stdio: ["pipe", "pipe", "pipe"] });
    this.lines = linesOf(this.child.stdout);
  }

  /** Returns the id. */
  request(request: Omit<PictureRequest, "id">): number {
    const id = ++this.lastId;
    this.write(`${JSON.stringify({ id, ...request })}\n`);
    return id;
  }

  write(text: string): void {
    this.child.stdin.write(text);
    this.child.stdin.flush();
  }

  /** The next that it gives. */
  async answer(): Promise<PictureAnswer> {
    const { value } = await this.lines.next();
    if (value === undefined) throw new Error(`It has ended: ${await this.child.stderr.text()}`);
    return pictureAnswerSchema.parse(JSON.parse(value));
  }

  async answerTo(request: Omit<PictureRequest, "id">): Promise<PictureAnswer> {
    const id = this.request(request);
    const answer = await this.answer();
    if (answer.id !== id) throw new Error(`An answer to ${answer.id} came instead of one to ${id}`);
    return answer;
  }

  /** Whatever it still says once it is not asked any more. */
  async end(): Promise<{ exitCode: number; answers: string[]; stderr: string }> {
    await this.child.stdin.end();
    const exitCode = await this.child.exited;
    return { exitCode, answers: await Array.fromAsync(this.lines), stderr: await this.child.stderr.text() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    const lines = `${text}${decoder.decode(chunk, { stream: true })}`.split("\n");
    text = lines.pop() ?? "";
    yield* lines;
  }
}
