// Downloads an asset in a process of its own, as the cache does, and prints what it took as JSON.
//   bun run test/bench/download-once.ts URL FILE
import { readFile } from "node:fs/promises";
import { download } from "../../src/cache/download/download.ts";
import { silentLog } from "../../src/ops/log.ts";

const [url = "", partial = ""] = process.argv.slice(2);
const startMs = performance.now();
let receivedMs = 0;
await download(
  {
    url: new URL(url),
    credentials: undefined,
    etag: undefined,
    partial,
    makeRoom: async () => {},
    tries: 1,
    timing: {
      retryDelayMs: 1,
      maxRetryDelayMs: 1,
      minBytesPerWindow: 65_536,
      rateWindowMs: 60_000,
      answerMs: 60_000,
    },
    // The last time just before the file is flushed.
    onProgress: () => {
      receivedMs = performance.now() - startMs;
    },
  },
  { signal: new AbortController().signal, log: silentLog },
);
const flushedMs = performance.now() - startMs;
const peakKb = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile("/proc/self/status", "utf8"))?.[1];
console.log(JSON.stringify({ receivedMs, flushedMs, peakMb: Number(peakKb) / 1024 }));
