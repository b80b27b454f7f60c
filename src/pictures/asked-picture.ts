// A picture that was ordered from the optimiser, as the file was then, and what has come of it.
import type { PoolFile } from "../results/pool-file.ts";

import type { PictureAnswer } from "./picture-messages.ts";
import type { OrderedPicture } from "./picture-optimiser.ts";

export type SeenFile = Pick<PoolFile, "version" | "inode" | "sizeBytes">;

/** An answer is one of a smaller copy. */
export type Verdict = PictureAnswer | "as it is" | "late" | "changed";

export class AskedPicture {
  /** The first that is given counts. */
  readonly verdict: Promise<Verdict>;
  private readonly decide: (verdict: Verdict) => void;

  constructor(
    private readonly seen: SeenFile,
    /** Path in the pool. */
    readonly copy: string,
    private readonly ordered: OrderedPicture,
  ) {
    const { promise, resolve } = Promise.withResolvers<Verdict>();
    this.verdict = promise;
    this.decide = resolve;
    void ordered.answer.then((answer) => resolve(answer?.outcome === "smaller" ? answer : "as it is"));
  }

  /** Whether the file is still the one that it was. */
  isOf(seen: SeenFile): boolean {
    return isSameFile(seen, this.seen);
  }

  /** An upload waits for it. */
  want(): void {
    this.ordered.want();
  }

  /** Whoever waits for it goes on, unless it is there. */
  giveUp(verdict: "late" | "changed"): void {
    this.decide(verdict);
    this.ordered.drop();
  }

  /** Resolves when the optimiser is through with it: whether there is a copy. */
  async hasCopy(): Promise<boolean> {
    return (await this.ordered.answer)?.outcome === "smaller";
  }
}

/** Neither replaced nor written again in between. */
export function isSameFile(
  one: Pick<SeenFile, "version" | "inode"> | undefined,
  other: Pick<PictureAnswer, "version" | "inode">,
): boolean {
  return one !== undefined && one.version === other.version && one.inode === other.inode;
}
