// Fetches assets into a cache directory, over and over until it is killed, and says what it got: a process of the test of
// killed writers. Arguments: directory, URL of the server, names.

import { AssetCache } from "../../src/cache/asset-cache.ts";
import { hashFile } from "../../src/cache/hash-file.ts";
import { recordingContext } from "../job/job-host.ts";
import { cacheSettings, own } from "./temporary-cache.ts";

const [directory = "", server = "", ...names] = process.argv.slice(2);
const context = recordingContext();
const cache = await AssetCache.open(cacheSettings(directory, { limitGib: 1 / 1024 }), own, context.log);
console.log("started");
for (;;) {
  const name = names[Math.floor(Math.random() * names.length)] ?? "";
  const url = new URL(`${server}/${name}`);
  const request = { url, credentials: undefined, host: "server", name, holder: "writer", tries: 3 };
  const { path, pin } = await cache.get(request, context);
  console.log(name, await hashFile(path, context));
  await pin.release();
}
