// Own settings for tests in one process: everything short, with room for small files only.
import type { Settings } from "../../src/config/settings.ts";

export const smallOwnSettings: Settings["own"] = {
  timeouts: { answerMs: 5000, idleMs: 5000, requestMs: 5000, websocketMs: 5000 },
  stop: { graceMs: 1, totalMs: 1 },
  report: { intervalMs: 1, watchedIntervalMs: 1, parallelUploads: 1 },
  pictures: { parallel: 1, endDelayMs: 1, timeoutMs: 5000, idleMs: 1 },
  spool: {
    triesBefore: 2,
    retryDelayMs: 1,
    maxRetryDelayMs: 1,
    keepRefusedMs: 60_000,
    keepRefusedBytes: 1e6,
  },
  cache: {
    retryDelayMs: 1,
    maxRetryDelayMs: 1,
    minBytesPerWindow: 1,
    rateWindowMs: 1000,
    lockRetryMs: 1,
    indexWaitMs: 1000,
  },
  limits: { maxFrameBytes: 1024 * 1024, maxJobMessageBytes: 512 * 1024, maxResultFileBytes: 1e6 },
};
