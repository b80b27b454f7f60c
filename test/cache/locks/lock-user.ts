// Other processes that use the locks of a cache directory: lock-holder.ts, as tests see it.
import { join } from "node:path";
import type { CacheFolder } from "../../../src/cache/cache-folder.ts";

export interface LockUser extends AsyncDisposable {
  readonly pid: number;
  /** Rejects when it ends before. */
  untilReady(): Promise<void>;
  kill(): Promise<void>;
}

/** Starts one; the verbs are in lock-holder.ts. Killed when disposed of. */
export function startLockUser(
  folder: CacheFolder,
  verb: string,
  ...values: readonly (string | number)[]
): LockUser {
  const script = join(import.meta.dir, "lock-holder.ts");
  const child = Bun.spawn([process.execPath, script, folder.directory, verb, ...values.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ready = child.stdout.getReader().read();
  const kill = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return {
    pid: child.pid,
    untilReady: async () => {
      if ((await ready).done) throw new Error(`a process that should ${verb} has ended`);
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
