// A VM that boots GRUB's rescue CD: its screen and its keyboard, over QEMU's monitor.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const rescueCd = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso";
const screenLimitMs = 60_000;
const pollMs = 50;
/** Where a PC keeps the text on its screen: 80x25 characters, each with its attribute. */
const textMemory = { address: 0xb8000, bytes: 80 * 25 * 2 };

const answerSchema = z.object({
  return: z.unknown().optional(),
  error: z.object({ desc: z.string() }).optional(),
});

/** A VM without KVM, network and window, of which only the screen and the keyboard are used. */
export class GrubMachine {
  private readonly lines: AsyncIterator<string>;
  private constructor(
    private readonly qemu: Bun.Subprocess<"pipe", "pipe", "ignore">,
    /** Where screens go; files that its user may overwrite. */
    private readonly folder: string,
  ) {
    this.lines = linesOf(qemu.stdout);
  }

  static async start(folder: string): Promise<GrubMachine> {
    const words = "-accel tcg -m 64 -nodefaults -vga std -display none -boot d -qmp stdio".split(" ");
    const command = ["qemu-system-x86_64", ...words, "-cdrom", rescueCd];
    const qemu = Bun.spawn(command, {
      stdio: ["pipe", "pipe", "ignore"],
      // As below isotovideo: the scheduler may weigh sessions against each other.
      detached: true,
    });
    const machine = new GrubMachine(qemu, folder);
    await machine.execute("qmp_capabilities");
    return machine;
  }

  /** Waits until the text of the screen is so. */
  async untilShows(isWanted: (text: string) => boolean): Promise<void> {
    for (const end = Date.now() + screenLimitMs; !isWanted(await this.text()); await Bun.sleep(pollMs))
      if (Date.now() > end)
        throw new Error(`GRUB does not show what was expected, but: ${await this.text()}`);
  }

  async type(text: string): Promise<void> {
    for (const character of text) await this.press(keyNames[character] ?? keyOf(character));
  }

  async press(key: string): Promise<void> {
    await this.execute("human-monitor-command", { "command-line": `sendkey ${key} 20` });
  }

  /** Writes the screen as a PPM. */
  async takeScreen(path: string): Promise<void> {
    await this.execute("screendump", { filename: path });
  }

  async stop(): Promise<void> {
    this.qemu.kill("SIGKILL");
    await this.qemu.exited;
  }

  private async text(): Promise<string> {
    const filename = join(this.folder, "screen-text");
    await this.execute("pmemsave", { val: textMemory.address, size: textMemory.bytes, filename });
    const bytes = await readFile(filename);
    return String.fromCharCode(...bytes.filter((_, at) => at % 2 === 0)).trimEnd();
  }

  private async execute(name: string, values: Record<string, unknown> = {}): Promise<void> {
    this.qemu.stdin.write(`${JSON.stringify({ execute: name, arguments: values })}\n`);
    for (;;) {
      const { value: line, done } = await this.lines.next();
      if (done) throw new Error(`QEMU ended with ${await this.qemu.exited} instead of doing ${name}`);
      const { return: answer, error } = answerSchema.parse(JSON.parse(line));
      if (error) throw new Error(`QEMU refuses ${name}: ${error.desc}`);
      if (answer !== undefined) return;
    }
  }
}

export const showsMenu = (text: string) => text.includes("GNU GRUB") && text.includes("*");
export const showsPrompt = (text: string) => text.endsWith("grub>");

const keyNames: Readonly<Record<string, string>> = {
  " ": "spc",
  "-": "minus",
  "=": "equal",
  "/": "slash",
  ".": "dot",
  _: "shift-minus",
  "(": "shift-9",
  ")": "shift-0",
};

function keyOf(character: string): string {
  if (!/[a-z0-9]/.test(character)) throw new Error(`no key for ${character}`);
  return character;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts.filter((line) => line.trim() !== "");
  }
}
