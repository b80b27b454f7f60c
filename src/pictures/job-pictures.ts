// The pictures of one job: each is optimised as soon as it is written, and its smaller copy goes up if it is of the file
// as it then is. Uploads wait for that while the job runs, and for a bounded time when it has ended.
import { abortable } from "../abortable.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import { Lanes } from "../results/lanes.ts";
import type { PictureSource } from "../results/picture-source.ts";
import { openInside, type PoolFile, PoolFileError } from "../results/pool-file.ts";
import { emptyCopies, newCopy, removeCopies, removeCopy } from "./copies.ts";
import type { PictureAnswer } from "./picture-messages.ts";
import type { Optimises, OrderedPicture } from "./picture-optimiser.ts";
import { watchPictures } from "./watch-pictures.ts";

/** Smaller ones are not worth the trouble: a request to upload one takes about as much. */
const minPictureBytes = 1024;
/** Of one job; further ones go out as they are. */
const maxPictures = 20_000;
/** A picture that changes again and again while an upload waits for it goes out as it is. */
const maxTries = 3;
const parallelLooks = 8;

export interface JobPicturesOptions {
  readonly poolDirectory: string;
  readonly optimiser: Optimises;
  /** From the end of isotovideo until nothing is waited for any more. */
  readonly endDelayMs: number;
  /** Aborted when nothing is to be waited for any more. */
  readonly stop: AbortSignal;
}

type Look = Pick<PoolFile, "version" | "inode" | "sizeBytes">;
type Verdict = PictureAnswer | "as it is" | "late" | "changed";

/** A picture that the optimiser was asked for, as it was then. */
interface Asked {
  readonly look: Look;
  readonly copy: string;
  readonly ordered: OrderedPicture;
  readonly verdict: Promise<Verdict>;
  /** Decides without the optimiser, unless that has answered. */
  readonly decide: (verdict: Verdict) => void;
}

export class JobPictures implements PictureSource {
  /** By path in the pool. */
  private readonly asked = new Map<string, Asked>();
  private readonly looks = new Lanes(parallelLooks);
  private readonly watching = new AbortController();
  /** That could not be waited for. */
  private readonly late = new Set<string>();
  private readonly made = { count: 0, bytesBefore: 0, bytesAfter: 0 };
  private timer: NodeJS.Timeout | undefined;
  private isHurried = false;
  private hasEnded = false;
  private readonly hurry = () => this.hurryUp();

  private constructor(
    private readonly options: JobPicturesOptions,
    private readonly log: Logger,
  ) {
    options.stop.addEventListener("abort", this.hurry, { once: true });
    if (options.stop.aborted) this.hurryUp();
  }

  /** From now on, until `end`, pictures of the pool are optimised. Undefined: they cannot be, the log says why. */
  static async begin(options: JobPicturesOptions, log: Logger): Promise<JobPictures | undefined> {
    try {
      await emptyCopies(options.poolDirectory);
    } catch (error) {
      log.warn(`Pictures go out as they are: no room for smaller ones in the pool: ${errorText(error)}`);
      return undefined;
    }
    const pictures = new JobPictures(options, log);
    pictures.watch({ log, signal: pictures.watching.signal });
    return pictures;
  }

  async smallest(inPool: string, signal: AbortSignal): Promise<string> {
    for (let tries = 0; tries < maxTries; tries++) {
      const asked = await this.ask(inPool, { isWanted: true });
      if (!asked) return inPool;
      const verdict = await abortable(asked.verdict, signal);
      if (verdict === "late") this.late.add(inPool);
      if (verdict === "late" || verdict === "as it is") return inPool;
      if (verdict !== "changed" && isSame(await this.look(inPool), verdict)) return asked.copy;
    }
    return inPool;
  }

  uploaded(inPool: string): void {
    const asked = this.asked.get(inPool);
    if (asked) this.remove(asked);
  }

  /** There will be no more pictures, and no more than `endDelayMs` to wait for those that there are. */
  isotovideoEnded(): void {
    this.watching.abort();
    if (this.options.endDelayMs === 0) this.hurryUp();
    else this.timer ??= setTimeout(this.hurry, this.options.endDelayMs);
  }

  /** Nothing goes up any more. Says what was done, and leaves nothing in the pool. Repeated: no change. */
  async end(): Promise<void> {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.watching.abort();
    clearTimeout(this.timer);
    this.options.stop.removeEventListener("abort", this.hurry);
    const { count, bytesBefore, bytesAfter } = this.made;
    if (this.late.size > 0)
      this.log.info(`Not optimised, as there was no time at the end: ${this.late.size} pictures`);
    if (count > 0) this.log.debug(`Optimised ${count} pictures: ${bytesBefore} bytes became ${bytesAfter}`);
    this.hurryUp();
    // One that is being made may come too late for this: the next job empties the folder.
    await removeCopies(this.options.poolDirectory).catch((error) => this.complain(error));
  }

  private watch(context: Context): void {
    const found = (inPool: string) => void this.ask(inPool, { isWanted: false });
    void watchPictures(this.options.poolDirectory, found, context);
  }

  /** Whoever waits gets what is ready. */
  private hurryUp(): void {
    this.isHurried = true;
    this.watching.abort();
    for (const { ordered, decide } of this.asked.values()) {
      decide("late");
      ordered.drop();
    }
  }

  /** Once for each version of a picture. Undefined: it goes out as it is. */
  private async ask(inPool: string, { isWanted }: { isWanted: boolean }): Promise<Asked | undefined> {
    const now = await this.look(inPool);
    if (now === undefined || now.sizeBytes < minPictureBytes) return undefined;
    const before = this.asked.get(inPool);
    if (before && isSame(now, before.look)) {
      if (isWanted) before.ordered.want();
      return before;
    }
    if (before) {
      before.decide("changed");
      before.ordered.drop();
      this.remove(before);
    }
    if (this.isHurried && isWanted) this.late.add(inPool);
    if (this.isHurried || this.asked.size >= maxPictures) return undefined;
    const asked = this.order(inPool, now, isWanted);
    this.asked.set(inPool, asked);
    return asked;
  }

  private order(inPool: string, look: Look, isWanted: boolean): Asked {
    const copy = newCopy();
    const order = { pool: this.options.poolDirectory, name: inPool, copy };
    const ordered = this.options.optimiser.optimise(order, { isWanted });
    const { promise: verdict, resolve: decide } = Promise.withResolvers<Verdict>();
    void ordered.answer.then((answer) => {
      if (answer?.outcome === "smaller") this.noteMade(answer);
      else if (answer?.why !== undefined) this.log.debug(`${inPool} goes out as it is: ${answer.why}`);
      decide(answer?.outcome === "smaller" ? answer : "as it is");
    });
    return { look, copy, ordered, verdict, decide };
  }

  private noteMade({ bytesBefore, bytesAfter }: PictureAnswer): void {
    this.made.count++;
    this.made.bytesBefore += bytesBefore;
    this.made.bytesAfter += bytesAfter;
  }

  /** Undefined: nothing is there that could be optimised. */
  private async look(inPool: string): Promise<Look | undefined> {
    return await this.looks.run(async () => {
      try {
        await using file = await openInside(this.options.poolDirectory, inPool);
        return file && { version: file.version, inode: file.inode, sizeBytes: file.sizeBytes };
      } catch (error) {
        // Uploads come to it themselves.
        if (!(error instanceof PoolFileError)) this.complain(error);
        return undefined;
      }
    });
  }

  private remove({ copy, ordered }: Asked): void {
    const { poolDirectory } = this.options;
    void ordered.answer
      .then((answer) => (answer?.outcome === "smaller" ? removeCopy(poolDirectory, copy) : undefined))
      .catch((error) => this.complain(error));
  }

  private complain(error: unknown): void {
    this.log.debug(`Pictures of the job: ${errorText(error)}`);
  }
}

function isSame(
  look: Look | undefined,
  { version, inode }: Pick<PictureAnswer, "version" | "inode">,
): boolean {
  return look?.version === version && look?.inode === inode;
}
