// A file system that is soon full.
import { run } from "./processes.ts";
import type { OpenqaServer } from "./server.ts";
import { workerUser } from "./users.ts";
import { makeCacheDirectory } from "./worker-folder.ts";

export interface SmallDisk extends AsyncDisposable {
  readonly directory: string;
}

/** A cache directory on a disk of its own. Undefined where even root may not mount anything, as in a container. */
export async function makeSmallDisk(
  server: OpenqaServer,
  name: string,
  bytes: number,
): Promise<SmallDisk | undefined> {
  const directory = await makeCacheDirectory(server, name);
  const options = `size=${bytes},mode=755,uid=${workerUser}`;
  try {
    await run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory]);
  } catch (error) {
    console.warn(`cannot mount a small disk: ${error}`);
    return undefined;
  }
  return {
    directory,
    [Symbol.asyncDispose]: async () => {
      await run(["umount", "-l", directory]);
    },
  };
}
