// The worker is killed before every single step on disk, one process for each: nothing is lost and nothing is there twice.
import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readJobState } from "../../../src/job/state-file.ts";
import { recordingContext } from "../job-host.ts";
import {
  endedJob,
  filesBelow,
  jobFilesIn,
  neededFiles,
  onOtherFileSystem,
  TemporarySpool,
} from "./temporary-spool.ts";

/** More than any action has. */
const maxSteps = 200;
const note = { "refused.txt": "https://openqa.example.com does not take the results of job 12: 404\n" };

test.each(["same", "other"] as const)(
  "taking a job out of a pool on the %s file system",
  async (fileSystem) => {
    const steps = await killedBeforeEachStep("take", fileSystem, async (here) => {
      const context = recordingContext();
      const disk = fileSystem === "other" ? onOtherFileSystem(here.pool.directory) : {};
      const spool = here.open({ disk });

      const listed = await spool.waiting(context);
      for (const { directory } of listed) expect(await jobFilesIn(directory)).toEqual(neededFiles);
      const inPool = await readJobState(here.pool.directory);
      expect(inPool ?? listed[0]?.state).toMatchObject({ job: { id: "12" } });
      if (inPool?.phase === "delivering") expect(await jobFilesIn(here.pool.directory)).toEqual(neededFiles);

      if (inPool) await spool.take(here.ended(), context);
      const [entry, ...others] = await spool.waiting(context);
      expect(others).toEqual([]);
      expect(entry?.state).toEqual(endedJob);
      expect(await jobFilesIn(entry!.directory)).toEqual(neededFiles);
      expect(await readdir(join(entry!.directory, ".openqa-worker"))).toEqual(["job.json"]);
      expect(await filesBelow(here.pool.directory)).toEqual({});
      expect(await readdir(here.path("waiting"))).toHaveLength(1);
    });
    expect(steps).toBeGreaterThan(10);
  },
  60_000,
);

test("removing an entry that was delivered", async () => {
  const steps = await killedBeforeEachStep("remove", "same", async (here) => {
    const context = recordingContext();
    const spool = here.open();
    const listed = await spool.waiting(context);
    for (const entry of listed) {
      expect(await jobFilesIn(entry.directory)).toEqual(neededFiles);
      await spool.remove(entry, context);
    }
    await spool.tidy(context);
    expect(await filesBelow(here.directory)).toEqual({});
    expect(context.lines).toEqual([]);
  });
  expect(steps).toBeGreaterThan(3);
}, 60_000);

test("putting an entry aside that was refused", async () => {
  const steps = await killedBeforeEachStep("refuse", "same", async (here) => {
    const context = recordingContext();
    const spool = here.open();
    for (const entry of await spool.waiting(context)) {
      expect(await jobFilesIn(entry.directory)).toMatchObject(neededFiles);
      await spool.refuse(entry, "404", context);
    }
    await spool.tidy(context);
    expect(await spool.waiting(context)).toEqual([]);
    const [name = "", ...others] = await readdir(here.path("refused"));
    expect(others).toEqual([]);
    expect(await jobFilesIn(here.path(`refused/${name}`))).toEqual({ ...neededFiles, ...note });
  });
  expect(steps).toBeGreaterThan(3);
}, 60_000);

/** Resolves with the number of steps that there are. */
async function killedBeforeEachStep(
  action: "take" | "remove" | "refuse",
  fileSystem: "same" | "other",
  check: (here: TemporarySpool) => Promise<void>,
): Promise<number> {
  for (let step = 1; step <= maxSteps; step++) {
    await using here = await TemporarySpool.make();
    if (action !== "take") await here.open().take(here.ended(), recordingContext());
    const script = join(import.meta.dir, "spool-user.ts");
    const args = [action, here.pool.directory, here.directory, fileSystem, String(step)];
    const child = Bun.spawn([process.execPath, script, ...args], { stdio: ["ignore", "inherit", "inherit"] });
    await child.exited;
    expect([child.exitCode, child.signalCode]).toBeOneOf([
      [null, "SIGKILL"],
      [0, null],
    ]);
    await check(here);
    if (child.exitCode === 0) return step - 1;
  }
  throw new Error(`${action} has more than ${maxSteps} steps`);
}
