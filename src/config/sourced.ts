// Values that know where they came from, and trees of them. `Settings` is made of such a tree, so no value can get
// into it without its origin.

/** A value with its origin: "FILE:LINE", "$VARIABLE", "--flag" or "default". */
export class Sourced<T> {
  constructor(
    readonly value: T,
    readonly origin: string,
  ) {}

  /** Another value that follows from this one. */
  map<U>(change: (value: T) => U): Sourced<U> {
    return new Sourced(change(this.value), this.origin);
  }
}

/** Values by key: upper case names of the stock worker's keys. */
export type Values = ReadonlyMap<string, Sourced<string>>;

export function byDefault<T>(value: T): Sourced<T> {
  return new Sourced(value, "default");
}

type Leaf = string | number | boolean | undefined;

/** The shape of T with an origin at every leaf. */
export type SourcedTree<T> = [T] extends [Leaf] ? Sourced<T> : SourcedBranch<T>;
type SourcedBranch<T> = T extends Leaf
  ? Sourced<T>
  : T extends readonly (infer E)[]
    ? readonly SourcedTree<E>[]
    : { readonly [K in keyof T]: SourcedTree<T[K]> };

/** Parts a tree into plain, frozen values and the origin of each, by dotted path ("hosts.0.url"). */
export function partTree<T>(tree: SourcedTree<T>): { value: T; origins: ReadonlyMap<string, string> } {
  const origins = new Map<string, string>();
  const plain = (node: unknown, path: string): unknown => {
    if (node instanceof Sourced) {
      origins.set(path, node.origin);
      return node.value;
    }
    if (typeof node !== "object" || node === null) throw new TypeError(`${path} has no origin`);
    const inner = Object.entries(node).map(([key, child]) => [key, plain(child, joinPath(path, key))]);
    return Object.freeze(Array.isArray(node) ? inner.map(([, value]) => value) : Object.fromEntries(inner));
  };
  // SourcedTree is the inverse of what happens here, which the compiler cannot see through `unknown`.
  return { value: plain(tree, "") as T, origins };
}

/** Every leaf of plain values with its dotted path. */
export function* leavesOf(node: unknown, path = ""): Generator<readonly [path: string, leaf: unknown]> {
  if (typeof node !== "object" || node === null) yield [path, node];
  else for (const [key, child] of Object.entries(node)) yield* leavesOf(child, joinPath(path, key));
}

function joinPath(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
