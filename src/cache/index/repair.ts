// Puts a good index in the place of one that is damaged or missing (field lesson 15). Over all processes one at a time;
// the damaged file is kept, and nobody ever sees an index that is half made.
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { removeEntries } from "../../ops/remove-entries.ts";
import { OfdLock, tryLockBytes } from "../../process/ofd-lock.ts";
import type { CacheFolder } from "../cache-folder.ts";
import { lockWhenFree, tryLock } from "../locks/lock-queue.ts";
import { forgetOldest, setAside, sidecarSuffixes } from "./damaged-files.ts";
import { IndexDatabase } from "./index-database.ts";
import { faultOf, lockedError } from "./index-faults.ts";
import { type KnownHashes, rowsFromNotes } from "./rebuild.ts";

const lockRetryMs = 100;
/** Where SQLite has its locks on a database, whatever the size of that. */
const sqliteLockBytes = { start: 0x4000_0000, length: 512 };
/** Whoever repairs has the only right to it; what was left of it by somebody who died is removed. */
const newIndexName = "new.sqlite";
/** The stock cache service of 2023 makes its folder for downloads only together with the index. */
const stockDownloadFolder = "tmp";

/** The index, repaired or found to have been repaired meanwhile. Throws errors as `IndexDatabase.open`. */
export async function repairIndex(
  folder: CacheFolder,
  waitMs: number,
  context: Context,
): Promise<IndexDatabase> {
  const lockFile = join(folder.damagedFolder, "repair");
  await using _ = await lockWhenFree(() => tryLock(lockFile, [0]), lockRetryMs, context.signal);
  try {
    return await IndexDatabase.open(folder.indexFile, waitMs);
  } catch (error) {
    const fault = faultOf(error);
    if (fault === "missing") await makeMissing(folder, context);
    else if (fault === "damaged") await replaceDamaged(folder, errorText(error), waitMs, context);
    else throw error;
  }
  return await IndexDatabase.open(folder.indexFile, waitMs);
}

async function makeMissing(folder: CacheFolder, context: Context): Promise<void> {
  const summary = await makeNewIndex(folder, new Map(), context);
  // Of a file that is no more: with the new one it would be taken for a transaction that was cut off.
  await setAside(folder, sidecarSuffixes);
  await putInPlace(folder);
  context.log.info(`Made the index ${folder.indexFile}, which was missing: ${summary}`);
}

async function replaceDamaged(
  folder: CacheFolder,
  why: string,
  waitMs: number,
  context: Context,
): Promise<void> {
  const { indexFile } = folder;
  context.log.info(`The index ${indexFile} is damaged: checking the assets, to make a new one`);
  const hashes: KnownHashes = new Map();
  // Reading all assets takes time: others may go on meanwhile with what still works. What they change is seen below.
  await rowsFromNotes(folder, hashes, context);
  await using _ = await lockIndex(indexFile, waitMs, context);
  const summary = await makeNewIndex(folder, hashes, context);
  const damagedFile = await setAside(folder, [...sidecarSuffixes, ""]);
  await putInPlace(folder);
  await forgetOldest(folder);
  context.log.warn(
    `The index ${indexFile} was damaged (${why}). It is ${damagedFile} now, and a new one has been made: ${summary}`,
  );
}

/** Keeps transactions out of the file, so that nobody's journal gets between the old and the new one. */
async function lockIndex(indexFile: string, waitMs: number, { signal }: Context): Promise<OfdLock> {
  const deadline = performance.now() + waitMs;
  const attempt = async () => {
    const lock = await tryLockBytes(indexFile, sqliteLockBytes);
    if (lock instanceof OfdLock) return lock;
    if (performance.now() >= deadline) throw lockedError(indexFile, waitMs, lock.heldBy);
    return undefined;
  };
  return await lockWhenFree(attempt, lockRetryMs, signal);
}

/** Makes it beside the damaged ones; says what it has. */
async function makeNewIndex(folder: CacheFolder, hashes: KnownHashes, context: Context): Promise<string> {
  const { rows, leftOutCount } = await rowsFromNotes(folder, hashes, context);
  await removeEntries(folder.damagedFolder, [newIndexName, `${newIndexName}-journal`]);
  IndexDatabase.create(join(folder.damagedFolder, newIndexName), rows);
  return `${rows.length} assets kept, ${leftOutCount} left out that are missing or not as they were`;
}

async function putInPlace({ directory, damagedFolder, indexFile }: CacheFolder): Promise<void> {
  await mkdir(join(directory, stockDownloadFolder), { recursive: true });
  await rename(join(damagedFolder, newIndexName), indexFile);
}
