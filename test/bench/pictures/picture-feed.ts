// The picture process of the executable, fed as the worker does it.
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { OptimisingProcess } from "../../../src/pictures/optimising-process.ts";
import type { PictureAnswer } from "../../../src/pictures/picture-messages.ts";
import { pictureProcessEnvironment } from "../../../src/pictures/picture-process-environment.ts";
import { builtExecutable } from "../../e2e/executable.ts";
import { cpuMs } from "../process-figures.ts";
import type { PictureSet } from "./picture-set.ts";

/** At the same time in the process. */
const parallel = 2;
const copyFolder = ".openqa-worker/pictures";

export interface Optimised {
  readonly original: string;
  /** The original, where nothing smaller was found. */
  readonly result: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export class PictureFeed implements AsyncDisposable {
  /** By the id of the request. */
  private readonly waiting = new Map<number, PromiseWithResolvers<PictureAnswer>>();
  private readonly process: OptimisingProcess;
  private lastId = 0;
  private answers = 0;

  private constructor(
    program: string,
    private readonly pool: string,
    private readonly names: readonly string[],
  ) {
    this.process = new OptimisingProcess({
      command: [program, "__pictures"],
      environment: { ...definedEnvironment(), ...pictureProcessEnvironment },
      onAnswer: (answer) => this.waiting.get(answer.id)?.resolve(answer),
    });
    void this.process.ended.then((how) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`the picture process ended: ${how}`));
    });
  }

  /** `pool`: a new folder for a pool directory with pictures of this set. */
  static async start(pool: string, { folder, names }: PictureSet): Promise<PictureFeed> {
    await mkdir(join(pool, copyFolder), { recursive: true });
    for (const name of names) await copyFile(join(folder, name), join(pool, name));
    return new PictureFeed(await builtExecutable(), pool, names);
  }

  /** The first `count` of the set. */
  async optimise(count = this.names.length): Promise<Optimised[]> {
    const left = this.names.slice(0, count).values();
    const found: Optimised[] = [];
    const lane = async () => {
      for (const name of left) found.push(await this.optimiseOne(name));
    };
    await Promise.all(Array.from({ length: parallel }, lane));
    return found;
  }

  /** The set again and again. Rejects when the process ends. */
  async optimiseWithoutEnd(): Promise<never> {
    for (;;) await this.optimise();
  }

  /** How many pictures it has been through with. */
  get answered(): number {
    return this.answers;
  }

  /** What it has taken so far. */
  async cpuSeconds(): Promise<number> {
    return (await cpuMs(this.process.pid)).own / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.end();
  }

  private async optimiseOne(name: string): Promise<Optimised> {
    const id = ++this.lastId;
    const copy = join(copyFolder, `${id}.png`);
    const answer = Promise.withResolvers<PictureAnswer>();
    this.waiting.set(id, answer);
    this.process.send({ id, pool: this.pool, name, copy });
    const { outcome, bytesBefore, bytesAfter } = await answer.promise;
    this.waiting.delete(id);
    this.answers++;
    const original = join(this.pool, name);
    if (outcome === "kept") return { original, result: original, bytesBefore, bytesAfter: bytesBefore };
    return { original, result: join(this.pool, copy), bytesBefore, bytesAfter };
  }
}

function definedEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}
