import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CacheFolder, openCacheFolder } from "../../../src/cache/cache-folder.ts";
import { claim, tryClaim } from "../../../src/cache/locks/claims.ts";
import { silentLog } from "../../../src/ops/log.ts";
import { startLockUser } from "./lock-user.ts";

const path = "/cache/host/a.iso";
const context = { signal: new AbortController().signal, log: silentLog };
const soon = { retryMs: 5 };
/** Whoever waits for so long to look again has not looked again within a test. */
const never = { retryMs: 3_600_000 };

let folder: CacheFolder;
beforeEach(async () => {
  folder = await openCacheFolder(await mkdtemp(join(tmpdir(), "claims-")));
});
afterEach(() => rm(folder.directory, { recursive: true }));

async function mustClaim(of = path) {
  const held = await tryClaim(folder, of);
  if (!held) throw new Error(`${of} is claimed`);
  return held;
}

describe("a claim", () => {
  test("excludes others of the same path, not those of other paths", async () => {
    await using _ = await mustClaim();
    expect(await tryClaim(folder, path)).toBeUndefined();
    await using __ = await mustClaim("/cache/host/b.iso");
  });

  test("is free once it is released, and a second release does not take it from its next holder", async () => {
    const first = await claim(folder, path, soon, context);
    await first.release();
    await using _ = await mustClaim();
    await first.release();
    expect(await tryClaim(folder, path)).toBeUndefined();
  });

  test("is waited for while another process has it, which may die: then it is free at once", async () => {
    await using other = startLockUser(folder, "claim", path);
    await other.untilReady();
    expect(await tryClaim(folder, path)).toBeUndefined();
    const waiting = claim(folder, path, soon, context);
    await other.kill();
    await using _ = await waiting;
  });

  test("is not in the way after its holder was killed (field lesson 18)", async () => {
    await using other = startLockUser(folder, "claim", path);
    await other.untilReady();
    await other.kill();
    await using _ = await mustClaim();
  });

  test("of a folder that has gone is an error that names the file and what to do", async () => {
    const gone = { ...folder, claimsFile: join(folder.directory, "gone/claims") };
    await expect(tryClaim(gone, path)).rejects.toThrow(
      /Cannot use the locks .*gone\/claims: ENOENT.*can write to/,
    );
    await expect(claim(gone, path, soon, context)).rejects.toThrow("gone/claims");
  });
});

describe("waiters of one process", () => {
  test("are served in order of arrival, without looking again when the holder is of their process", async () => {
    const served: number[] = [];
    const held = await claim(folder, path, never, context);
    const waiters = Array.from({ length: 20 }, async (_, index) => {
      await using _claim = await claim(folder, path, never, context);
      served.push(index);
    });
    await held.release();
    await Promise.all(waiters);
    expect(served).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test("leave the line when they are aborted, wherever they stand in it, and the others are served", async () => {
    await using other = startLockUser(folder, "claim", path);
    await other.untilReady();
    const aborts = Array.from({ length: 4 }, () => new AbortController());
    const waiting = aborts.map(({ signal }) => claim(folder, path, soon, { ...context, signal }));
    for (const index of [0, 2]) {
      aborts[index]!.abort(new Error("not needed any more"));
      await expect(waiting[index]!).rejects.toThrow("not needed any more");
    }
    await other.kill();
    await (await waiting[1]!).release();
    await (await waiting[3]!).release();
  });

  test("who leave do not let those behind them overtake those before", async () => {
    const served: string[] = [];
    const abort = new AbortController();
    const held = await claim(folder, path, never, context);
    const first = claim(folder, path, never, context).finally(() => served.push("first"));
    const second = claim(folder, path, never, { ...context, signal: abort.signal });
    const third = claim(folder, path, never, context).finally(() => served.push("third"));
    abort.abort(new Error("not needed any more"));
    await expect(second).rejects.toThrow("not needed any more");
    await held.release();
    await (await first).release();
    await (await third).release();
    expect(served).toEqual(["first", "third"]);
  });

  test("that are aborted before they start have not claimed", async () => {
    const signal = AbortSignal.abort(new Error("too late"));
    await expect(claim(folder, path, soon, { ...context, signal })).rejects.toThrow("too late");
    await using _ = await mustClaim();
  });

  test("are not kept waiting by one whose attempt failed", async () => {
    const gone = { ...folder, claimsFile: join(folder.directory, "gone/claims") };
    await Promise.all(
      [1, 2, 3].map(() => expect(claim(gone, path, soon, context)).rejects.toThrow("gone/claims")),
    );
  });

  test("of different paths do not wait for each other", async () => {
    await using _ = await claim(folder, path, never, context);
    await using __ = await claim(folder, "/cache/host/b.iso", never, context);
  });
});

test("of many claimants in several processes none is ever beside another", async () => {
  const users = [1, 2, 3].map(() => startLockUser(folder, "contend", path, 15));
  // Each says that it is ready after all its rounds; one that was not alone has failed instead.
  await Promise.all(users.map((user) => user.untilReady()));
  await Promise.all(users.map((user) => user.kill()));
  await using _ = await mustClaim();
}, 20_000);
