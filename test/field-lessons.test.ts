// What went wrong with workers in the field, and the test that shows that it does not with this one: each lesson is
// named by its number ("field lesson 7") in the file that the table gives for it. No behaviour is tested here.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";

/** Files below test/ that show it. */
type Shown = readonly [lesson: string, ...shown: readonly `${string}.test.ts`[]];

const lessons: Readonly<Record<number, Shown>> = {
  1: [
    "an exception during an upload: the job waits for ever",
    "job/deliver-end.test.ts",
    "worker/ends.test.ts",
  ],
  2: ["a job offered while stopping is not answered", "worker/ends.test.ts"],
  3: ["an idle status crosses a grab_job", "worker/lessons.test.ts", "slot/offer.test.ts"],
  4: [
    "a QEMU is left over in the pool",
    "slot/availability/left-over-qemu.test.ts",
    "slot/pool-directory.test.ts",
  ],
  5: ["a repeated TERM orphans QEMU and truncates the video", "isotovideo/start.test.ts"],
  6: ["TERM to the whole group kills the video encoder as well", "isotovideo/start.test.ts"],
  7: ["an unset pool path: cleaning would remove everything", "slot/pool-directory.test.ts"],
  8: ["a lost websocket ends jobs", "worker/bad-input.test.ts"],
  9: ["the server takes the job for dead, uploads are retried for ever", "worker/bad-input.test.ts"],
  10: ["a worker comes back and finishes a reassigned job", "worker/spool-refused.test.ts"],
  11: ["a second websocket replaces the first", "worker/lessons.test.ts"],
  12: ["looking at a dead cache makes the worker deaf to TERM", "slot/availability/availability.test.ts"],
  13: ["a broken disk of the cache: jobs fail one after the other", "worker/cache.test.ts"],
  14: ['"database is locked" shuts the cache down', "cache/index/index-faults.test.ts"],
  15: ["a corrupt index of the cache", "cache/index/repair.test.ts"],
  16: ["an asset is purged for itself, or while in use", "cache/asset-cache.test.ts"],
  17: ["a stale asset is used after a failed revalidation", "cache/asset-cache.test.ts"],
  18: ["the cache is restarted during a download", "cache/service/service-client.test.ts"],
  19: ["an asset's error shows only after the time for the set-up", "worker/cache.test.ts"],
  20: ["the cache's queue piles up", "cache/service/service-client.test.ts"],
  21: ["rsync hangs or fails, what it wrote is lost", "cache/sync/sync-tests.test.ts"],
  22: ["refusals are retried, restarts of the web UI not survived", "webui/retry.test.ts"],
  23: ["the upload of an asset fails during a restart of the web UI", "results/asset-upload.test.ts"],
  24: ["an upload fails and the job passes", "worker/bad-input.test.ts"],
  25: ["an error that was got over is reported as the cause", "webui/remembered-errors.test.ts"],
  26: ["servers match the text of reasons", "job/reason.test.ts"],
  27: ["a full disk gives obscure incompletes", "job/reason.test.ts", "slot/availability/free-space.test.ts"],
  28: ["the load of 15 minutes alone lets a stampede in", "slot/availability/critical-load.test.ts"],
  29: [
    "self-checks skip directly chained jobs",
    "worker/queues.test.ts",
    "slot/availability/availability.test.ts",
  ],
  30: ["the set-up can be neither cancelled nor timed out", "worker/ends.test.ts"],
  31: ["last module, last picture or test order missing at the end", "results/reporter.test.ts"],
  32: ["the optimiser of pictures fails", "worker/pictures.test.ts", "pictures/picture-optimiser.test.ts"],
  33: ["secrets in vars.json when isotovideo was killed", "results/job-files.test.ts"],
  34: [
    "no D-Bus, no API key, no configuration: the worker crashes",
    "slot/availability/open-vswitch.test.ts",
    "webui/authentication.test.ts",
    "config/load-settings.test.ts",
  ],
  35: ["a wrong clock disables the worker", "webui/registration.test.ts"],
  36: ["a redirect breaks later calls", "webui/rest-client.test.ts"],
  37: ["1,500 workers flood the websocket server", "webui/status-messages.test.ts"],
  38: ["HUP twice kills the job", "worker/ends.test.ts", "stop-requests.test.ts"],
  39: ["a live view asked for before isotovideo is up is lost", "results/watched-reports.test.ts"],
  40: ["concurrent podman jobs collide", "isotovideo/command-line.test.ts"],
  41: ["a corrupt image in the cache is not noticed", "cache/inventory.test.ts"],
  42: ["a half-open connection hangs a request for minutes", "webui/multipart.test.ts"],
};

describe("field lesson", () => {
  for (const [number, [lesson, ...files]] of Object.entries(lessons))
    for (const file of files)
      test(`${number}, ${lesson}: shown in ${file}`, async () => {
        expect(await lessonsNamedIn(file)).toContain(Number(number));
      });
});

test("every number that a test names is one of the table", async () => {
  const files = await Array.fromAsync(new Bun.Glob("**/*.test.ts").scan(import.meta.dir));
  const named = await Promise.all(files.map(lessonsNamedIn));
  expect(named.flat().filter((number) => lessons[number] === undefined)).toEqual([]);
});

/** "field lesson 7", "field lessons 14, 15". */
async function lessonsNamedIn(file: string): Promise<number[]> {
  const text = await Bun.file(join(import.meta.dir, file)).text();
  const lists = text.matchAll(/field lessons? (\d+(?:(?:, | and )\d+)*)/gi);
  return [...lists].flatMap(([, list = ""]) => list.split(/, | and /).map(Number));
}
