// What the set-up of a job puts into its pool directory: files and links. Names come from job settings: none leads out
// of the pool, none takes the place of what the worker keeps there.
import { link, open, symlink } from "node:fs/promises";
import { join } from "node:path";
import { errorText, SetupFailure, type SetupFailureCategory } from "../../errors.ts";
import type { Logger } from "../../ops/log.ts";
import { removeEntries } from "../../ops/remove-entries.ts";
import { isBareName } from "../../results/pool-file.ts";

/** The worker has these open while a job runs. */
const logNames = ["autoinst-log.txt", "worker-log.txt"];

export interface PoolLink {
  /** Name in the pool; whatever has that name there is removed first. */
  readonly name: string;
  /** Where it leads; a relative path starts in the pool. */
  readonly source: string;
}

/** Throws `SetupFailure` for a name that must not be taken. Dot files are the worker's own. */
export function assertUsableName(name: string, category: SetupFailureCategory): void {
  if (isBareName(name) && !name.startsWith(".") && !logNames.includes(name)) return;
  const quoted = JSON.stringify(name.slice(0, 100));
  throw new SetupFailure(category, `The name ${quoted} cannot be used in the pool directory`);
}

export async function placeSymlink(
  poolDirectory: string,
  { name, source }: PoolLink,
  log: Logger,
): Promise<void> {
  const target = join(poolDirectory, name);
  await removeEntries(poolDirectory, [name]);
  try {
    await symlink(source, target);
  } catch (error) {
    const text = `Cannot create symlink from "${source}" to "${target}": ${systemErrorText(error)}`;
    throw new SetupFailure("setup failure", text, { cause: error });
  }
  log.debug(`Symlinked from "${source}" to "${target}"`);
}

/** A hard link keeps the file for the job whatever becomes of its source; a symlink where there cannot be one. */
export async function placeHardLink(poolDirectory: string, entry: PoolLink, log: Logger): Promise<void> {
  const target = join(poolDirectory, entry.name);
  await removeEntries(poolDirectory, [entry.name]);
  try {
    await link(entry.source, target);
    log.debug(`Linked asset "${entry.source}" to "${target}"`);
  } catch (error) {
    log.debug(`Symlinking asset because hardlink failed: ${systemErrorText(error)}`);
    await placeSymlink(poolDirectory, entry, log);
  }
}

/** Writes indented JSON. It holds secrets: for the worker's user alone, never through a link that stands there. */
export async function placeJson(poolDirectory: string, name: string, content: unknown): Promise<void> {
  await removeEntries(poolDirectory, [name]);
  await using file = await open(join(poolDirectory, name), "wx", 0o600);
  await file.writeFile(`${JSON.stringify(content, undefined, 3)}\n`);
}

/** As in "Permission denied": without the code and the call that Node puts around it. */
function systemErrorText(error: unknown): string {
  const text = /^[A-Z0-9]+: (.*?), /.exec(errorText(error))?.[1] ?? errorText(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
