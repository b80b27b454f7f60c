// A process of its own that uses the locks of a cache directory, for the tests: arguments DIRECTORY VERB VALUE...
// It says "ready" when it has what the verb asks for, and ends when its stdin does.
import { mkdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { openCacheFolder } from "../../../src/cache/cache-folder.ts";
import { claim } from "../../../src/cache/locks/claims.ts";
import { takePermit } from "../../../src/cache/locks/permits.ts";
import { allPins, pin, pinsOf } from "../../../src/cache/locks/pins.ts";
import { silentLog } from "../../../src/ops/log.ts";

const [directory = "", verb = "", first = "", second = ""] = process.argv.slice(2);
const folder = await openCacheFolder(directory);
const stopped = new AbortController();
const context = { signal: stopped.signal, log: silentLog };
const parallel = 4;
void Bun.stdin.text().then(() => stopped.abort());

/** Claims again and again; a folder that cannot be made twice shows whether it is alone. */
async function contend(path: string, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await using _ = await claim(folder, path, { retryMs: 1 }, context);
    await mkdir(join(directory, "alone"));
    await rmdir(join(directory, "alone"));
  }
}

async function look(path: string): Promise<void> {
  while (!stopped.signal.aborted) await Promise.all([allPins(folder), pinsOf(folder, path)]);
}

function inParallel<T>(count: number, work: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, work));
}

const verbs: Record<string, () => Promise<unknown>> = {
  claim: () => claim(folder, first, { retryMs: 5 }, context),
  permits: () =>
    inParallel(Number(second), () =>
      takePermit(folder, { host: "a.host", count: Number(first), retryMs: 5 }, context),
    ),
  pin: () => pin(folder, first, second),
  contend: () => inParallel(parallel, () => contend(first, Number(second))),
  look: async () => void look(first),
};

await verbs[verb]?.();
console.log("ready");
if (!stopped.signal.aborted)
  await new Promise((resolve) => stopped.signal.addEventListener("abort", resolve));
process.exit(0);
