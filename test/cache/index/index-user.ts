// Another process that uses an index: DIRECTORY and what to do there. Each line of its stdout is the path of a row.
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { openCacheFolder } from "../../../src/cache/cache-folder.ts";
import { CacheIndex } from "../../../src/cache/index/cache-index.ts";
import { silentLog } from "../../../src/ops/log.ts";

const [directory = "", action, argument = ""] = process.argv.slice(2);
const context = { signal: new AbortController().signal, log: silentLog };

/** Has the database to itself for so many ms. */
async function hold(): Promise<void> {
  const database = new Database(join(directory, "cache.sqlite"));
  database.run("BEGIN EXCLUSIVE");
  console.log("held");
  await Bun.sleep(Number(argument));
  database.run("COMMIT");
}

/** Stores rows until it is killed, and tells of each that it has stored. */
async function write(index: CacheIndex): Promise<void> {
  for (let count = 0; ; count++) {
    const path = `${argument}-${count}`;
    await index.store({ path, etag: `"${count}"`, sizeBytes: count }, context);
    console.log(path);
  }
}

/** Neither closes the index nor ends. */
async function leave(): Promise<void> {
  const index = new CacheIndex(await openCacheFolder(directory), { waitMs: 10_000, idleMs: 50 }, silentLog);
  await index.rows(context);
  console.log("left");
}

if (action === "hold") await hold();
else if (action === "leave") await leave();
else {
  await using index = new CacheIndex(await openCacheFolder(directory), { waitMs: 10_000 }, silentLog);
  if (action === "write") await write(index);
  else for (const { path } of await index.rows(context)) console.log(path);
}
