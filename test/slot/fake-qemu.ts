// A process whose program is named like qemu.
import { copyFile } from "node:fs/promises";
import { join } from "node:path";

export interface FakeQemu extends AsyncDisposable {
  readonly pid: number;
  end(): Promise<void>;
}

/** `folder` gets the program. */
export async function startFakeQemu(folder: string): Promise<FakeQemu> {
  const program = join(folder, "qemu-system-fake");
  await copyFile("/bin/sleep", program);
  const child = Bun.spawn([program, "60"], { stdio: ["ignore", "ignore", "ignore"] });
  const end = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return { pid: child.pid, end, [Symbol.asyncDispose]: end };
}
