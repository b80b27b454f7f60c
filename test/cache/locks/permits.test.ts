import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CacheFolder, openCacheFolder } from "../../../src/cache/cache-folder.ts";
import { takePermit, waitingDownloads } from "../../../src/cache/locks/permits.ts";
import { silentLog } from "../../../src/ops/log.ts";
import { until } from "../../e2e/until.ts";
import { startLockUser } from "./lock-user.ts";

let folder: CacheFolder;
beforeEach(async () => {
  folder = await openCacheFolder(await mkdtemp(join(tmpdir(), "permits-")));
});
afterEach(() => rm(folder.directory, { recursive: true }));

const context = { signal: new AbortController().signal, log: silentLog };

function take(count: number, signal = context.signal) {
  return takePermit(folder, { host: "a.host", count, retryMs: 5 }, { ...context, signal });
}

async function untilWaiting(count: number): Promise<void> {
  await until(`${count} downloads wait`, 5_000, async () => (await waitingDownloads(folder)) === count);
}

test("there are as many permits as the count says, and a released one goes to the next who came", async () => {
  const [first, second] = [await take(2), await take(2)];
  expect(await waitingDownloads(folder)).toBe(0);
  const served: string[] = [];
  const third = take(2).finally(() => served.push("third"));
  const fourth = take(2).finally(() => served.push("fourth"));
  await untilWaiting(2);
  expect(served).toEqual([]);
  await second.release();
  await third;
  await untilWaiting(1);
  expect(served).toEqual(["third"]);
  await first.release();
  await fourth;
  await untilWaiting(0);
});

test("who comes while others wait does not overtake them", async () => {
  const held = await take(1);
  const served: number[] = [];
  const waiting = Array.from({ length: 10 }, async (_, index) => {
    await using _permit = await take(1);
    served.push(index);
  });
  await held.release();
  waiting.push(
    take(1)
      .then((permit) => permit.release())
      .finally(() => served.push(10)),
  );
  await Promise.all(waiting);
  expect(served).toEqual(Array.from({ length: 11 }, (_, index) => index));
});

test("released twice it is released once", async () => {
  const first = await take(1);
  await first.release();
  const second = await take(1);
  await first.release();
  void take(1);
  await untilWaiting(1);
  await second.release();
  await untilWaiting(0);
});

test("who is aborted while waiting does not count as waiting any more, and keeps nobody from a permit", async () => {
  const held = await take(1);
  const abort = new AbortController();
  const first = take(1, abort.signal);
  const second = take(1);
  await untilWaiting(2);
  abort.abort(new Error("job cancelled"));
  await expect(first).rejects.toThrow("job cancelled");
  await untilWaiting(1);
  await held.release();
  await second;
  await expect(take(5, AbortSignal.abort(new Error("job cancelled")))).rejects.toThrow("job cancelled");
});

test("permits and waiting downloads count over all processes, and end with them", async () => {
  await using holder = startLockUser(folder, "permits", 3, 3);
  await holder.untilReady();
  await using waiter = startLockUser(folder, "permits", 3, 4);
  await untilWaiting(4);
  const mine = take(3);
  await untilWaiting(5);
  await waiter.kill();
  expect(await waitingDownloads(folder)).toBe(1);
  await holder.kill();
  await mine;
  await take(3);
  expect(await waitingDownloads(folder)).toBe(0);
});

test("a process with a higher count has the permits beyond those of the others", async () => {
  await using other = startLockUser(folder, "permits", 2, 2);
  await other.untilReady();
  await take(3);
  void take(2);
  await untilWaiting(1);
  await other.kill();
  await untilWaiting(0);
});

test("many waiting downloads are counted, each once", async () => {
  await take(1);
  const abort = new AbortController();
  const waiting = Array.from({ length: 200 }, () => take(1, abort.signal));
  await untilWaiting(200);
  abort.abort();
  await Promise.allSettled(waiting);
  await untilWaiting(0);
});

test("nobody waits where nobody ever has; a folder that is not one is named", async () => {
  expect(await waitingDownloads(folder)).toBe(0);
  const broken = {
    ...folder,
    permitsFile: join(folder.permitsFile, "none"),
    waitingFile: "/dev/null/waiting",
  };
  await expect(takePermit(broken, { host: "a.host", count: 1, retryMs: 5 }, context)).rejects.toThrow(
    "Cannot use the locks",
  );
  await expect(waitingDownloads(broken)).rejects.toThrow(/Cannot tell how many downloads wait: ENOTDIR/);
});
