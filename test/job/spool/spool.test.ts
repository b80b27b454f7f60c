import { expect, test } from "bun:test";
import { mkdir, readdir, readFile, rename, utimes, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { SpoolDisk } from "../../../src/job/spool/spool-disk.ts";
import { recordingContext } from "../job-host.ts";
import { failure, filesBelow, jobFilesIn, neededFiles, TemporarySpool, week } from "./temporary-spool.ts";

const hash = "0123456789abcdef";
const noon = Date.UTC(2026, 0, 15, 12);

test("nothing is made before it is needed", async () => {
  await using here = await TemporarySpool.make();
  const context = recordingContext();
  expect(await here.open().waiting(context)).toEqual([]);
  await here.open().tidy(context);
  expect(await filesBelow(here.path("../../.."))).toEqual({});
  expect(context.lines).toEqual([]);
});

test("entries wait in the order in which their jobs were accepted", async () => {
  await using here = await TemporarySpool.make();
  for (const [acceptedAt, id] of [
    [10_000, 3],
    [9_000, 20],
    [9_000, 7],
    [100_000, 1],
  ] as const) {
    await here.pool.write({ ...neededFiles });
    await here.open().take(here.ended({ acceptedAt, job: { id } }), recordingContext());
  }
  const waiting = await here.open().waiting(recordingContext());
  expect(waiting.map(({ state }) => state.job.id)).toEqual([7, 20, 3, 1]);
});

test("jobs of the same number from two web UIs are two entries", async () => {
  await using here = await TemporarySpool.make();
  for (const host of ["one", "two"]) await here.open().take(here.ended({ host }), recordingContext());
  const waiting = await here.open().waiting(recordingContext());
  expect(waiting.map(({ state }) => state.host).sort()).toEqual(["one", "two"]);
});

test("entries that cannot be delivered are left alone, and named once", async () => {
  await using here = await TemporarySpool.make();
  const garbage = await here.put(`1-1-${hash}`, "garbage");
  const unfinished = here.path(`waiting/2-2-${hash}`);
  await mkdir(join(unfinished, "ulogs"), { recursive: true });
  await here.put("somebody's", {});
  await writeFile(here.path(`waiting/3-3-${hash}`), "a file");
  await here.put(`4-4-${hash}`, { job: { id: 4 } });
  const context = recordingContext();
  const spool = here.open();
  for (const _ of [1, 2])
    expect((await spool.waiting(context)).map(({ state }) => state.job.id)).toEqual([4]);
  expect(context.lines).toHaveLength(4);
  for (const path of [garbage, unfinished])
    expect(context.lines).toContain(`[warn] ${path} is not delivered: it has no job.json that can be used`);
  await spool.tidy(context);
  expect(await readdir(here.path("waiting"))).toHaveLength(5);
});

test("an entry that was never finished goes when nobody has tried for a month", async () => {
  await using here = await TemporarySpool.make();
  const unfinished = await here.put(`1-1-${hash}`, "garbage");
  await here.put(`2-2-${hash}`, {});
  const day = 24 * 3600 * 1000;
  const changed = Date.now();
  await here.open({ now: () => changed + 29 * day, keepRefusedMs: 0 }).tidy(recordingContext());
  expect(await readdir(here.path("waiting"))).toHaveLength(2);
  const context = recordingContext();
  await here.open({ now: () => changed + 31 * day }).tidy(context);
  expect(await readdir(here.path("waiting"))).toEqual([`2-2-${hash}`]);
  expect(context.lines).toEqual([`[warn] Removing ${unfinished}: it was never finished`]);
});

test("a spool that is a file is no reason to end", async () => {
  await using here = await TemporarySpool.make();
  await mkdir(join(here.directory, ".."), { recursive: true });
  await writeFile(here.directory, "");
  const context = recordingContext();
  expect(await here.open().waiting(context)).toEqual([]);
  await here.open().tidy(context);
  expect(context.lines[0]).toStartWith("[error] Cannot look for results that wait for delivery: ENOTDIR");
});

test("a delivered entry is gone, also when it is removed twice", async () => {
  await using here = await TemporarySpool.make();
  const spool = here.open();
  const entry = await spool.take(here.ended(), recordingContext());
  for (const _ of [1, 2]) {
    await spool.remove(entry, recordingContext());
    expect(await filesBelow(here.directory)).toEqual({});
  }
});

test("an entry that cannot be removed completely does not wait any more", async () => {
  await using here = await TemporarySpool.make();
  const disk: Partial<SpoolDisk> = {
    removeEntries: async (_, names) => {
      if ((await readdir(here.path("removed"))).includes(names[0] ?? "")) throw failure("EPERM", "not owner");
    },
  };
  const spool = here.open({ disk });
  const entry = await here.open().take(here.ended(), recordingContext());
  const context = recordingContext();
  await spool.remove(entry, context);
  expect(await spool.waiting(context)).toEqual([]);
  expect(context.lines).toEqual([`[warn] Cannot remove ${here.path("removed")}: EPERM: not owner`]);
  await here.open().tidy(context);
  expect(await filesBelow(here.directory)).toEqual({});
});

test("errors of removing and of putting aside say what to do", async () => {
  await using here = await TemporarySpool.make();
  const disk: Partial<SpoolDisk> = {
    rename: async () => {
      throw failure("EROFS", "read-only file system");
    },
  };
  const entry = await here.open().take(here.ended(), recordingContext());
  const spool = here.open({ disk });
  const advice = `in ${here.directory}: EROFS: read-only file system (it has to be a folder that the worker's`;
  await expect(spool.remove(entry, recordingContext())).rejects.toThrow(
    `Cannot remove the delivered results of job 12 ${advice}`,
  );
  await expect(spool.refuse(entry, "404", recordingContext())).rejects.toThrow(
    `Cannot put aside the refused results of job 12 ${advice}`,
  );
  expect(await jobFilesIn(entry.directory)).toMatchObject(neededFiles);
});

test("a refused entry is kept with the reason, and delivered again when it is moved back", async () => {
  await using here = await TemporarySpool.make();
  const spool = here.open();
  const entry = await spool.take(here.ended(), recordingContext());
  const path = await spool.refuse(entry, "400 response: gone", recordingContext());
  expect(path).toBe(here.path(`refused/${basename(entry.directory)}`));
  expect(await spool.waiting(recordingContext())).toEqual([]);
  expect(await readFile(join(path!, "refused.txt"), "utf8")).toBe(
    "https://openqa.example.com does not take the results of job 12: 400 response: gone\n",
  );
  expect(await jobFilesIn(path!)).toMatchObject(neededFiles);
  await rename(path!, entry.directory);
  expect(await spool.waiting(recordingContext())).toEqual([entry]);
});

test("a refused entry does not wait any more, even if the reason cannot be written", async () => {
  await using here = await TemporarySpool.make();
  const disk: Partial<SpoolDisk> = {
    writeNote: async () => {
      throw failure("ENOSPC", "no space left on device");
    },
  };
  const spool = here.open({ disk });
  const path = await spool.refuse(
    await spool.take(here.ended(), recordingContext()),
    "404",
    recordingContext(),
  );
  expect(await jobFilesIn(path!)).toEqual(neededFiles);
  expect(await spool.waiting(recordingContext())).toEqual([]);
});

test.each([{ keepRefusedMs: 0 }, { keepRefusedBytes: 0 }, { keepRefusedBytes: 5000 }])(
  "with %p a big refused entry is not kept, and older ones only as far as the limits go",
  async (limits) => {
    await using here = await TemporarySpool.make({ "autoinst-log.txt": "x".repeat(6000) });
    const old = here.path("refused/old");
    await mkdir(old, { recursive: true });
    await writeFile(join(old, "refused.txt"), "small");
    await utimes(join(old, "refused.txt"), noon / 1000, noon / 1000);
    const spool = here.open({ ...limits, now: () => noon + 1000 });
    const entry = await spool.take(here.ended(), recordingContext());
    expect(await spool.refuse(entry, "404", recordingContext())).toBeUndefined();
    const isOldKept = limits.keepRefusedBytes === 5000;
    expect(await readdir(here.path("refused"))).toEqual(isOldKept ? ["old"] : []);
  },
);

test("refused entries go when their time is over", async () => {
  await using here = await TemporarySpool.make();
  let now = noon;
  const spool = here.open({ now: () => now });
  const entry = await spool.take(here.ended(), recordingContext());
  await spool.refuse(entry, "404", recordingContext());
  now = noon + week - 1;
  await spool.tidy(recordingContext());
  expect(await readdir(here.path("refused"))).toHaveLength(1);
  now = noon + week;
  await spool.tidy(recordingContext());
  expect(await readdir(here.path("refused"))).toEqual([]);
});
