// What an error of SQLite or of a file means for the index: its file is at fault, or whoever asked has to be told.
// Only the former may lead to a repair (field lessons 14, 15).
import { readFile, stat } from "node:fs/promises";
import { CacheError, errorText } from "../../errors.ts";

/** What can be wrong with the file itself. `replaced`: another one has its place by now. */
export type Fault = "missing" | "damaged" | "replaced";

export class IndexFault extends Error {
  constructor(
    readonly fault: Fault,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Undefined: the file is not at fault. Pure. */
export function faultOf(error: unknown): Fault | undefined {
  if (error instanceof IndexFault) return error.fault;
  const code = codeOf(error);
  if (code === "ENOENT") return "missing";
  // The latter: a journal has gone together with a file that was replaced, or was taken for that one's.
  if (code === "SQLITE_READONLY_DBMOVED" || code === "SQLITE_IOERR_DELETE_NOENT") return "replaced";
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code) || isWrongSchema(error)) return "damaged";
  return undefined;
}

/** The statements are ours, so one that does not fit is the schema's fault. */
export function isWrongSchema(error: unknown): boolean {
  return codeOf(error) === "SQLITE_ERROR" && /^(no such|table \w+ has no|ON CONFLICT)/.test(errorText(error));
}

/** What to tell of an error that is not to be repaired. */
export async function indexError(indexFile: string, waitMs: number, error: unknown): Promise<CacheError> {
  if (error instanceof CacheError) return error;
  const code = codeOf(error);
  const text = errorText(error);
  if (/^SQLITE_(BUSY|LOCKED)/.test(code))
    return lockedError(indexFile, waitMs, await lockHolderPid(indexFile), { cause: error });
  return new CacheError(describe(indexFile, code, text), { cause: error });
}

/** Transient: another try may find it free. */
export function lockedError(
  indexFile: string,
  waitMs: number,
  heldBy: number | undefined,
  options?: ErrorOptions,
): CacheError {
  const holder = heldBy === undefined ? "another process" : `process ${heldBy}`;
  return new CacheError(
    `The index ${indexFile} is locked: ${holder} holds it for over ${waitMs} ms`,
    options,
  );
}

function describe(indexFile: string, code: string, text: string): string {
  if (["SQLITE_FULL", "ENOSPC", "EDQUOT"].includes(code))
    return `No space left on the disk of the index ${indexFile}: nothing is lost, free some (${text})`;
  if (/^(SQLITE_(CANTOPEN|READONLY|PERM)|EACCES|EPERM|EROFS)/.test(code))
    return `The index ${indexFile} cannot be written (${text}): the worker's user has to be able to read and write it and its folder`;
  return `The index ${indexFile} cannot be used: ${text}${code.startsWith("SQLITE") ? ` (${code})` : ""}`;
}

/** As SQLite and the operating system call it. */
function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * Who has the lock, as far as the kernel tells. The file itself cannot be asked: to close a descriptor of it would drop
 * the locks that SQLite has on it for this process.
 */
async function lockHolderPid(indexFile: string): Promise<number | undefined> {
  try {
    const { ino } = await stat(indexFile);
    const locks = await readFile("/proc/locks", "utf8");
    const [, pid] = new RegExp(`WRITE +(\\d+) [0-9a-f]+:[0-9a-f]+:${ino} `).exec(locks) ?? [];
    return pid === undefined ? undefined : Number(pid);
  } catch {
    return undefined;
  }
}
