// optipng as newer stock workers call it: for one file after the other, in place.
import { cp, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface OptipngUse {
  /** From start to end of all. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** For copies of the pictures in a folder, and of their thumbnails in `.thumbs`. */
export async function optipngOnCopies(folder: string): Promise<OptipngUse & { readonly pictures: number }> {
  const copies = await mkdtemp(join(tmpdir(), "openqa-worker-bench-"));
  try {
    await cp(folder, copies, { recursive: true });
    const names = (await readdir(copies)).filter((name) => name.endsWith(".png"));
    const files = names.flatMap((name) => [join(copies, name), join(copies, ".thumbs", name)]);
    return { ...(await runOptipng(files)), pictures: names.length };
  } finally {
    await rm(copies, { recursive: true });
  }
}

export async function runOptipng(files: readonly string[]): Promise<OptipngUse> {
  const bytesBefore = await sumOfSizes(files);
  const startMs = performance.now();
  let cpuSeconds = 0;
  for (const file of files) {
    const child = Bun.spawn(["optipng", "-quiet", "-o2", file], { stdio: ["ignore", "inherit", "inherit"] });
    if ((await child.exited) !== 0) throw new Error(`optipng failed for ${file}`);
    cpuSeconds += Number(child.resourceUsage()?.cpuTime.total ?? Number.NaN) / 1e6;
  }
  const seconds = (performance.now() - startMs) / 1000;
  return { seconds, cpuSeconds, bytesBefore, bytesAfter: await sumOfSizes(files) };
}

async function sumOfSizes(files: readonly string[]): Promise<number> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
