// The folder of a pool that holds smaller copies of its pictures until they are uploaded. A job can write there, so it is
// reached without following links.
import { type FileHandle, mkdir, rm } from "node:fs/promises";
import { basename } from "node:path";
import { stateFolder } from "../isotovideo/pool-state.ts";
import { removeEntries } from "../ops/remove-entries.ts";
import { openFolderInside } from "../results/pool-file.ts";

const folderName = "pictures";

export class Copies {
  private constructor(
    private readonly poolDirectory: string,
    private readonly folder: FileHandle,
  ) {}

  /** The folder is there and empty. To be removed. Throws when it cannot be made. */
  static async make(poolDirectory: string): Promise<Copies> {
    await mkdir(`${poolDirectory}/${stateFolder}`, { recursive: true, mode: 0o700 });
    await removeFolder(poolDirectory);
    await using state = await openFolderInside(poolDirectory, stateFolder);
    if (state) await mkdir(`/proc/self/fd/${state.fd}/${folderName}`, { mode: 0o700 });
    const folder = await openFolderInside(poolDirectory, `${stateFolder}/${folderName}`);
    if (!folder) throw new Error(`somebody has removed ${stateFolder}/${folderName}`);
    return new Copies(poolDirectory, folder);
  }

  /** Path in the pool of a copy that is still to be made. None is ever named twice. */
  newCopy(): string {
    return `${stateFolder}/${folderName}/${crypto.randomUUID()}.png`;
  }

  async removeCopy(copy: string): Promise<void> {
    await rm(`/proc/self/fd/${this.folder.fd}/${basename(copy)}`, { force: true });
  }

  /** With all that is in it. */
  async remove(): Promise<void> {
    await this.folder.close();
    await removeFolder(this.poolDirectory);
  }
}

async function removeFolder(poolDirectory: string): Promise<void> {
  await using state = await openFolderInside(poolDirectory, stateFolder);
  if (state) await removeEntries(`/proc/self/fd/${state.fd}`, [folderName]);
}
