// Gives memory back that a phase of work needed once: pages of the executable that were read while starting, or for a
// job. They come from the file again where they are needed again.
import { readFile } from "node:fs/promises";
import { releasePages } from "./libc.ts";

/** First line of a read-only mapping in /proc/self/smaps. */
const readOnlyMapping = /^([0-9a-f]+)-([0-9a-f]+) r-[x-]p /;
/** Pages that the dynamic linker has written to before they became read-only are lost when they are dropped. */
const isUntouched = /^Anonymous: +0 kB$.*^Swap: +0 kB$/ms;

export async function releaseCodePages(): Promise<void> {
  const smaps = await readFile("/proc/self/smaps", "utf8");
  for (const mapping of smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const [, start, end] = readOnlyMapping.exec(mapping) ?? [];
    if (start === undefined || end === undefined || !isUntouched.test(mapping)) continue;
    if (!mapping.split("\n", 1)[0]?.includes(process.execPath)) continue;
    const from = BigInt(`0x${start}`);
    releasePages(from, BigInt(`0x${end}`) - from);
  }
}
