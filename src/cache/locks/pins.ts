// Who uses which asset: what is pinned is not purged (field lesson 16). A pin is a file whose byte 0 its holder has
// locked from before the file got its name until its end, so one with that name that nobody has locked is dead for ever:
// whoever looks removes it.
import { randomBytes } from "node:crypto";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CacheError, errorText } from "../../errors.ts";
import { lockHolder, type OfdLock, tryLockFreeByte } from "../../process/ofd-lock.ts";
import { type CacheFolder, hashOf } from "../cache-folder.ts";
import { type Claim, claimWith } from "./claims.ts";

const pinSchema = z.object({ path: z.string(), pid: z.int(), holder: z.string() });

/** Somebody uses an asset; what cannot be told is "unknown". */
export interface Pin extends Readonly<z.infer<typeof pinSchema>> {}

const unknown = "unknown";

/** Ends names of pins that are being made. */
const unfinished = ".new";

/** Nobody takes as long to make a pin. */
const maxUnfinishedMs = 60_000;

/** A path and a holder are shorter. */
const maxPinBytes = 64 * 1024;

/**
 * Keeps an asset, there or not yet, from being purged. `holder`: for people, as "slot 3, job 42". Throws `CacheError`
 * when the folder of pins cannot be used.
 */
export async function pin(folder: CacheFolder, path: string, holder: string): Promise<Claim> {
  const name = `${hashOf(path)}-${process.pid}-${randomBytes(8).toString("hex")}`;
  const file = join(folder.pinsFolder, name);
  let lock: OfdLock | undefined;
  try {
    lock = await tryLockFreeByte(file + unfinished, [0]);
    if (!lock) throw new Error("somebody else has locked it");
    // The name says enough: a full disk, in need of a purge, must not keep anybody from what is in the cache.
    await lock.write(JSON.stringify({ path, pid: process.pid, holder } satisfies Pin)).catch(() => {});
    await rename(file + unfinished, file);
  } catch (error) {
    await lock?.release();
    throw new CacheError(`Cannot pin ${path} by ${file}: ${errorText(error)}`, { cause: error });
  }
  const held = lock;
  // Where the file cannot be removed, losing the lock makes it a dead one.
  const remove = () => rm(file, { force: true }).catch(() => {});
  return claimWith(() => remove().then(() => held.release()));
}

/** Who uses the asset: living holders only. When in doubt, it is pinned. Throws `CacheError`. */
export async function pinsOf(folder: CacheFolder, path: string): Promise<readonly Pin[]> {
  const pins = await livingPins(folder, `${hashOf(path)}-`);
  return pins.map((found) => ({ ...found, path }));
}

/** All that is in use, by living holders. Throws `CacheError`. */
export async function allPins(folder: CacheFolder): Promise<readonly Pin[]> {
  return await livingPins(folder, "");
}

async function livingPins({ pinsFolder }: CacheFolder, prefix: string): Promise<readonly Pin[]> {
  const found: Pin[] = [];
  for (const name of await namesIn(pinsFolder)) {
    if (!name.startsWith(prefix)) continue;
    const file = join(pinsFolder, name);
    const isFinished = !name.endsWith(unfinished);
    // Read before the lock is looked at: a pin that is released meanwhile is none, and not one of somebody unknown.
    const pin = await readPin(file, name);
    if (await isHeld(file)) {
      if (isFinished) found.push(pin);
    } else if (isFinished || (await isOld(file))) {
      // Dead as it is, it does no harm where it cannot be removed.
      await rm(file, { force: true }).catch(() => {});
    }
  }
  return found;
}

async function namesIn(pinsFolder: string): Promise<readonly string[]> {
  try {
    return await readdir(pinsFolder);
  } catch (error) {
    const text = `Cannot tell which assets are in use: ${errorText(error)}`;
    throw new CacheError(text, { cause: error });
  }
}

/** Also when that cannot be found out. */
async function isHeld(file: string): Promise<boolean> {
  try {
    return (await lockHolder(file, { start: 0, length: 1 })) !== undefined;
  } catch {
    return true;
  }
}

async function isOld(file: string): Promise<boolean> {
  const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > maxUnfinishedMs;
}

async function readPin(file: string, name: string): Promise<Pin> {
  try {
    return pinSchema.parse(JSON.parse(await Bun.file(file).slice(0, maxPinBytes).text()));
  } catch {
    return { path: unknown, pid: Number(name.split("-")[1]), holder: unknown };
  }
}
