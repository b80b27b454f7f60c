// The folder of a pool that holds smaller copies of its pictures until they are uploaded. A job can write there, so it is
// reached without following links.
import { mkdir, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { stateFolder } from "../isotovideo/pool-state.ts";
import { removeEntries } from "../ops/remove-entries.ts";
import { openFolderInside } from "../results/pool-file.ts";

const folderName = "pictures";

/** Path in the pool of a copy that is still to be made. None is ever named twice. */
export function newCopy(): string {
  return `${stateFolder}/${folderName}/${crypto.randomUUID()}.png`;
}

/** Afterwards the folder is there and empty. */
export async function emptyCopies(poolDirectory: string): Promise<void> {
  await mkdir(`${poolDirectory}/${stateFolder}`, { recursive: true, mode: 0o700 });
  await removeCopies(poolDirectory);
  await using state = await openFolderInside(poolDirectory, stateFolder);
  if (state) await mkdir(`/proc/self/fd/${state.fd}/${folderName}`, { mode: 0o700 });
}

export async function removeCopies(poolDirectory: string): Promise<void> {
  await using state = await openFolderInside(poolDirectory, stateFolder);
  if (state) await removeEntries(`/proc/self/fd/${state.fd}`, [folderName]);
}

export async function removeCopy(poolDirectory: string, copy: string): Promise<void> {
  await using folder = await openFolderInside(poolDirectory, dirname(copy));
  if (folder) await rm(`/proc/self/fd/${folder.fd}/${basename(copy)}`, { force: true });
}
