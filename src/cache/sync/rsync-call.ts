// How rsync is called for a test sync (protocol 6 "Test sync"). Pure.
import { isAbsolute } from "node:path";
import { CacheError } from "../../errors.ts";
import { splitShellWords } from "../../process/shell-words.ts";

export interface TestSync {
  /** TESTPOOLSERVER: what rsync copies from, possibly with options in front of it, shell-quoted. */
  readonly source: string;
  /** CACHEDIRECTORY/HOST; the tests go to its folder "tests", and nowhere else. */
  readonly hostDirectory: string;
}

/** Flags and arguments for rsync. Throws `CacheError` for a source or a folder that cannot be used. */
export function rsyncFlags(
  { source, hostDirectory }: TestSync,
  {
    timeoutMs,
    options = [],
  }: { readonly timeoutMs: number; readonly options?: readonly string[] | undefined },
): readonly string[] {
  assertHostDirectory(hostDirectory);
  const words = sourceWords(source);
  const seconds = String(Math.max(1, Math.round(timeoutMs / 1000)));
  const sources = words.with(-1, `${words.at(-1)}/`);
  return ["-avHP", "--timeout", seconds, ...options, ...sources, "--delete", `${hostDirectory}/tests/`];
}

/** The options and, last, the source itself. What does not begin with an option is a source as a whole. */
function sourceWords(source: string): string[] {
  const trimmed = source.trim();
  const words = trimmed.startsWith("-") ? splitShellWords(trimmed) : [trimmed];
  if (words === undefined)
    throw new CacheError(`TESTPOOLSERVER has a quote without an end, which has to be corrected: ${trimmed}`);
  const last = words.at(-1) ?? "";
  if (last !== "" && !last.startsWith("-")) return words;
  throw new CacheError(
    `TESTPOOLSERVER names no source for rsync: found "${trimmed}", expected [OPTIONS] SOURCE, such as rsync://HOST/tests`,
  );
}

/** `rsync --delete` removes what it finds there: it must be the folder that is meant. */
function assertHostDirectory(path: string): void {
  const parts = path.split("/");
  if (isAbsolute(path) && parts.at(-1) !== "" && !parts.includes("..") && !parts.includes(".")) return;
  throw new CacheError(
    `Refusing to sync tests into "${path}": expected the absolute path of a host's folder, CACHEDIRECTORY/HOST`,
  );
}
