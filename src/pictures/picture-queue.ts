// What waits to be optimised, over all pools: what an upload waits for comes first, and pools take turns, so that one
// with a thousand pictures does not keep the three of another waiting.

interface Waiting<T> {
  readonly wanted: Set<T>;
  readonly found: Set<T>;
}

export class PictureQueue<T extends { readonly pool: string }> {
  /** The pool whose turn is next comes first; none of them is without a picture. */
  private readonly pools = new Map<string, Waiting<T>>();

  constructor(private readonly maxPerPool: number) {}

  /** False: too many of this pool wait already. */
  add(picture: T, isWanted: boolean): boolean {
    const waiting = this.pools.get(picture.pool) ?? { wanted: new Set(), found: new Set() };
    if (waiting.wanted.size + waiting.found.size >= this.maxPerPool) return false;
    (isWanted ? waiting.wanted : waiting.found).add(picture);
    this.pools.set(picture.pool, waiting);
    return true;
  }

  /** An upload has come to wait for it. One that is not in here any more is left alone. */
  want(picture: T): void {
    const waiting = this.pools.get(picture.pool);
    if (waiting?.found.delete(picture)) waiting.wanted.add(picture);
  }

  /** False: it is not in here any more. */
  remove(picture: T): boolean {
    const waiting = this.pools.get(picture.pool);
    if (!waiting?.wanted.delete(picture) && !waiting?.found.delete(picture)) return false;
    if (isEmpty(waiting)) this.pools.delete(picture.pool);
    return true;
  }

  /** Takes out the one whose turn it is. */
  next(): T | undefined {
    const picture = this.first("wanted") ?? this.first("found");
    if (picture === undefined) return undefined;
    const waiting = this.pools.get(picture.pool);
    this.pools.delete(picture.pool);
    if (!waiting) return undefined;
    waiting.wanted.delete(picture);
    waiting.found.delete(picture);
    if (!isEmpty(waiting)) this.pools.set(picture.pool, waiting);
    return picture;
  }

  private first(kind: keyof Waiting<T>): T | undefined {
    for (const waiting of this.pools.values()) for (const picture of waiting[kind]) return picture;
    return undefined;
  }
}

function isEmpty<T>({ wanted, found }: Waiting<T>): boolean {
  return wanted.size + found.size === 0;
}
