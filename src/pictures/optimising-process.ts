// A picture process that has been started, as the worker sees it: requests in, answers out, its end. What it is asked for
// and when is the concern of others.
import { errorText } from "../errors.ts";
import { type PictureAnswer, type PictureRequest, pictureAnswerSchema } from "./picture-messages.ts";

/** What lists of processes show: it is started by a path that says nothing. */
const processName = "openqa-worker";
/** From the end of its input to KILL. */
const endGraceMs = 1000;
/** From KILL until it is left to itself: it hangs in the kernel. */
const maxKillMs = 2000;
/** For its last words, once it has ended. */
const lastWordsMs = 500;
const maxLineChars = 64 * 1024;
/** Of what it complained about, only the end is kept. */
const maxErrorChars = 500;

export interface OptimisingProcessOptions {
  readonly command: readonly string[];
  /** All of it. */
  readonly environment: Readonly<Record<string, string>>;
  readonly onAnswer: (answer: PictureAnswer) => void;
}

export class OptimisingProcess {
  /** Resolves with how it ended when it is no more; all its answers have been told by then. */
  readonly ended: Promise<string>;
  private readonly child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  private killedBecause: string | undefined;
  private errors = "";
  private isEnding = false;

  /** Throws when it cannot be started. */
  constructor({ command, environment, onAnswer }: OptimisingProcessOptions) {
    this.child = Bun.spawn([...command], {
      argv0: processName,
      cwd: "/",
      env: { ...environment },
      // What the terminal or the service's group gets is for the worker alone.
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const hear = this.hear(onAnswer).catch((error) => this.kill(errorText(error)));
    this.ended = this.untilEnd(Promise.all([hear, this.keepErrors().catch(() => {})]));
  }

  get pid(): number {
    return this.child.pid;
  }

  /** Takes no requests any more: it has been told to end. */
  get takesNoMore(): boolean {
    return this.isEnding;
  }

  send(request: PictureRequest): void {
    void this.tell(async ({ stdin }) => {
      await stdin.write(`${JSON.stringify(request)}\n`);
      await stdin.flush();
    });
  }

  /** Closes its input; should it not end by itself, it is killed. Resolves when it is no more. */
  async end(): Promise<void> {
    this.isEnding = true;
    const timer = setTimeout(() => this.child.kill("SIGKILL"), endGraceMs);
    void this.tell(async ({ stdin }) => {
      await stdin.end();
    });
    await Promise.race([this.ended, Bun.sleep(endGraceMs + maxKillMs)]);
    clearTimeout(timer);
  }

  /** At once. */
  kill(why: string): void {
    this.isEnding = true;
    this.killedBecause ??= why;
    this.child.kill("SIGKILL");
  }

  /** One that does not hear has ended, or is about to: `ended` tells that. */
  private async tell(how: (child: typeof this.child) => Promise<void>): Promise<void> {
    await how(this.child).catch(() => {});
  }

  /** Something that it has left running may hold its output open. */
  private async untilEnd(spoken: Promise<unknown>): Promise<string> {
    await this.child.exited;
    this.isEnding = true;
    await Promise.race([spoken, Bun.sleep(lastWordsMs)]);
    const { signalCode, exitCode } = this.child;
    const how =
      this.killedBecause ?? (signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`);
    // For a line of a log.
    const errors = this.errors.replaceAll(/\s+/g, " ").trim();
    return errors === "" ? how : `${how}: ${errors}`;
  }

  /** Throws for anything that is no answer. */
  private async hear(onAnswer: (answer: PictureAnswer) => void): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const chunk of this.child.stdout) {
      text += decoder.decode(chunk, { stream: true });
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) onAnswer(parseAnswer(line));
      if (text.length > maxLineChars) throw new Error("it wrote a line without end");
    }
  }

  private async keepErrors(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.child.stderr)
      this.errors = `${this.errors}${decoder.decode(chunk, { stream: true })}`.slice(-maxErrorChars);
  }
}

function parseAnswer(line: string): PictureAnswer {
  try {
    return pictureAnswerSchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new Error(`it wrote ${JSON.stringify(line.slice(0, 100))}, which is no answer`, { cause });
  }
}
