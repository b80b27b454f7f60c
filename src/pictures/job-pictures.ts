// The pictures of one job: each is optimised as soon as it is written, and its smaller copy goes up if it is of the file
// as it then is. Uploads wait for that while the job runs, and for a bounded time when it has ended.
import { abortable } from "../abortable.ts";
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import { Lanes } from "../results/lanes.ts";
import type { PictureSource } from "../results/picture-source.ts";
import { openInside, PoolFileError } from "../results/pool-file.ts";
import { AskedPicture, isSameFile, type SeenFile } from "./asked-picture.ts";
import { Copies } from "./copies.ts";
import { Patience, type PatienceOptions } from "./patience.ts";
import type { PictureAnswer } from "./picture-messages.ts";
import type { Optimises } from "./picture-optimiser.ts";
import { watchPictures } from "./watch-pictures.ts";

/** Smaller ones are not worth the trouble: a request to upload one takes about as much. */
const minPictureBytes = 1024;
/** Of one job; further ones go out as they are. */
const maxPictures = 20_000;
/** A picture that changes again and again while an upload waits for it goes out as it is. */
const maxTries = 3;
/** Files that are looked at at the same time. */
const parallelLooks = 8;

export interface JobPicturesOptions extends PatienceOptions {
  readonly poolDirectory: string;
  /** Not for one that an earlier start of the worker has left: what is there already was uploaded, mostly. */
  readonly isNewJob: boolean;
  readonly optimiser: Optimises;
}

export class JobPictures implements PictureSource {
  /** By path in the pool. */
  private readonly asked = new Map<string, AskedPicture>();
  private readonly looks = new Lanes(parallelLooks);
  private readonly watching = new AbortController();
  /** Undefined: there is no place for them. */
  private readonly copies: Promise<Copies | undefined>;
  /** That could not be waited for. */
  private readonly late = new Set<string>();
  private readonly made = { count: 0, bytesBefore: 0, bytesAfter: 0 };
  private readonly patience: Patience;
  private unansweredCount = 0;
  private isHurried = false;
  private hasEnded = false;

  /** From now on, until `end`, pictures of the pool are optimised. */
  constructor(
    private readonly options: JobPicturesOptions,
    private readonly log: Logger,
  ) {
    const { poolDirectory, isNewJob } = options;
    this.patience = new Patience(options, () => this.hurryUp());
    this.copies = Copies.make(poolDirectory).catch((error) => {
      log.warn(`Pictures go out as they are: no place for smaller ones in the pool: ${errorText(error)}`);
      return undefined;
    });
    const onPicture = (inPool: string) => void this.ask(inPool, { isWanted: false });
    void watchPictures({ poolDirectory, isNewJob, onPicture }, { log, signal: this.watching.signal });
  }

  async smallest(inPool: string, signal: AbortSignal): Promise<string> {
    for (let tries = 0; tries < maxTries; tries++) {
      const known = tries === 0 ? this.asked.get(inPool) : undefined;
      const asked = known ?? (await this.ask(inPool, { isWanted: true }));
      if (!asked) return inPool;
      asked.want();
      const verdict = await abortable(asked.verdict, signal);
      if (verdict === "late") this.late.add(inPool);
      if (verdict === "late" || verdict === "as it is") return inPool;
      if (verdict !== "changed" && isSameFile(await this.look(inPool), verdict)) return asked.copy;
    }
    return inPool;
  }

  uploaded(inPool: string): void {
    const asked = this.asked.get(inPool);
    if (asked) void this.removeCopy(asked);
  }

  /** There will be no more pictures, and the time to wait for those that there are begins. */
  isotovideoEnded(): void {
    this.watching.abort();
    this.patience.begin(this.unansweredCount);
  }

  /** Nothing goes up any more. Says what was done, and leaves nothing in the pool. Repeated: no change. */
  async end(): Promise<void> {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.patience[Symbol.dispose]();
    this.hurryUp();
    const { count, bytesBefore, bytesAfter } = this.made;
    if (this.late.size > 0)
      this.log.info(`Pictures that went out as they are, for lack of time at the end: ${this.late.size}`);
    if (count > 0) this.log.debug(`Pictures made smaller: ${count}, ${bytesBefore} to ${bytesAfter} bytes`);
    // One that is being made may come too late for this: the next job empties the folder.
    const copies = await this.copies;
    await copies?.remove().catch((error) => this.complain(error));
  }

  /** Whoever waits gets what is ready. */
  private hurryUp(): void {
    this.isHurried = true;
    this.watching.abort();
    for (const asked of this.asked.values()) asked.giveUp("late");
  }

  /** Once for each version of a picture. Undefined: it goes out as it is. */
  private async ask(inPool: string, { isWanted }: { isWanted: boolean }): Promise<AskedPicture | undefined> {
    const [copies, seen] = await Promise.all([this.copies, this.look(inPool)]);
    if (copies === undefined || seen === undefined || seen.sizeBytes < minPictureBytes) return undefined;
    const before = this.asked.get(inPool);
    if (before?.isOf(seen)) return before;
    if (before) {
      before.giveUp("changed");
      void this.removeCopy(before);
    }
    if (this.isHurried && isWanted) this.late.add(inPool);
    if (this.isHurried || (!before && this.asked.size >= maxPictures)) return undefined;
    const copy = copies.newCopy();
    const order = { pool: this.options.poolDirectory, name: inPool, copy };
    const ordered = this.options.optimiser.optimise(order, { isWanted });
    this.countUnanswered(1);
    void ordered.answer.then((answer) => this.note(answer));
    const asked = new AskedPicture(seen, copy, ordered);
    this.asked.set(inPool, asked);
    return asked;
  }

  private countUnanswered(more: 1 | -1): void {
    this.unansweredCount += more;
    this.patience.progress(this.unansweredCount);
  }

  private note(answer: PictureAnswer | undefined): void {
    this.countUnanswered(-1);
    if (answer?.outcome === "smaller") {
      this.made.count++;
      this.made.bytesBefore += answer.bytesBefore;
      this.made.bytesAfter += answer.bytesAfter;
    } else if (answer?.why !== undefined) this.log.debug(`A picture goes out as it is: ${answer.why}`);
  }

  /** Undefined: nothing is there that could be optimised. */
  private async look(inPool: string): Promise<SeenFile | undefined> {
    return await this.looks.run(async () => {
      try {
        await using file = await openInside(this.options.poolDirectory, inPool);
        return file && { version: file.version, inode: file.inode, sizeBytes: file.sizeBytes };
      } catch (error) {
        // Uploads come to what is a trap by themselves.
        if (!(error instanceof PoolFileError)) this.complain(error);
        return undefined;
      }
    });
  }

  private async removeCopy(asked: AskedPicture): Promise<void> {
    // At the end all go together.
    const [copies, isThere] = await Promise.all([this.copies, asked.hasCopy()]);
    if (!isThere || this.hasEnded) return;
    await copies?.removeCopy(asked.copy).catch((error) => this.complain(error));
  }

  private complain(error: unknown): void {
    this.log.debug(`Pictures of the job: ${errorText(error)}`);
  }
}
