// A process that downloads: `bun downloader.ts URL PARTIAL`. Prints the outcome or the error as the last line.
import { download } from "../../../src/cache/download/download.ts";
import { silentLog } from "../../../src/ops/log.ts";
import { timing } from "./downloads.ts";

const [url = "", partial = ""] = process.argv.slice(2);
const request = { credentials: undefined, etag: undefined, makeRoom: async () => {}, tries: 1, timing };
const context = { signal: new AbortController().signal, log: silentLog };
const outcome = await download({ ...request, url: new URL(url), partial }, context).catch((error) => ({
  kind: "failed",
  name: error.name,
  message: error.message,
}));
console.log(JSON.stringify({ ...outcome, mtimeNs: undefined }));
