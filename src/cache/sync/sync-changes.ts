// What a sync has changed, from what rsync --itemize-changes says. Pure.

export interface SyncChange {
  readonly kind: "new" | "changed" | "deleted";
  /** Below the folder of the tests; folders end with a slash. */
  readonly path: string;
}

/** For rsync: lines of their own for changes, names as they are. */
export const itemizeOptions: readonly string[] = ["--itemize-changes", "--8-bit-output"];

/** In the order in which rsync went about it. Folders of which only the time has changed are left out. */
export function syncChanges(rsyncOutput: string): readonly SyncChange[] {
  return rsyncOutput.split("\n").flatMap((line) => parseLine(line) ?? []);
}

/** "YXcstpoguax PATH": how it is updated, what it is, and what of it has changed. */
function parseLine(line: string): SyncChange | undefined {
  const [, deleted] = /^\*deleting +(.+)$/.exec(line) ?? [];
  if (deleted !== undefined) return { kind: "deleted", path: deleted };
  const [, type, attributes, rest] = /^[<>ch.]([fdLDS])([.+? a-zA-Z]{9}) (.+)$/.exec(line) ?? [];
  if (type === undefined || attributes === undefined || rest === undefined) return undefined;
  if (type === "d" && /^\.\.[tT]\.+$/.test(attributes)) return undefined;
  return { kind: /^\++$/.test(attributes) ? "new" : "changed", path: nameIn(line, type, rest) };
}

/** Links are followed by what they lead to. */
function nameIn(line: string, type: string, rest: string): string {
  if (type === "L") return rest.replace(/ -> .*$/, "");
  return line.startsWith("h") ? rest.replace(/ => .*$/, "") : rest;
}
