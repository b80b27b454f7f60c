import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JobState, readJobState, removeJobState, writeJobState } from "../../src/job/state-file.ts";
import { makeFifo } from "../../src/process/libc.ts";

let pool = "";
beforeEach(async () => {
  pool = await mkdtemp(join(tmpdir(), "state-file-"));
});
afterEach(() => rm(pool, { recursive: true }));

const state: JobState = {
  format: 1,
  job: { id: "12", settings: { JOBTOKEN: "secret" } },
  host: "openqa.example.com",
  workerId: 3,
  phase: "running",
  acceptedAt: 1_000,
  run: { startedAtUptimeS: 2_000, commandServerUrl: "http://localhost:20013/token", workerHostname: "host" },
  reported: { currentModule: "shell", sentModules: ["boot"] },
  ending: { stopReason: "cancel" },
  delivered: ["ulogs/a.log"],
};

test("what was written is read again, for its owner only", async () => {
  await writeJobState(pool, { ...state, phase: "setup" });
  await writeJobState(pool, state);
  expect(await readJobState(pool)).toEqual(state);
  expect((await stat(join(pool, ".openqa-worker/job.json"))).mode & 0o077).toBe(0);
});

test.each(["", "{", "[]", '{"format":2}', '{"format":1,"job":{}}'])(
  "a file with %p counts as none",
  async (text) => {
    await writeJobState(pool, state);
    await writeFile(join(pool, ".openqa-worker/job.json"), text);
    expect(await readJobState(pool)).toBeUndefined();
  },
);

const file = () => join(pool, ".openqa-worker/job.json");

test.each<[string, (path: string) => Promise<void> | void]>([
  ["a FIFO", (path) => makeFifo(path, 0o600)],
  ["a link to a state", (path) => symlink(join(pool, "elsewhere"), path)],
  ["a folder", async (path) => void (await mkdir(path))],
])("where a job has put %s, there is no state, and the next one is written", async (_, put) => {
  await writeJobState(pool, state);
  await rename(file(), join(pool, "elsewhere"));
  await put(file());
  expect(await readJobState(pool)).toBeUndefined();
  await rm(file(), { recursive: true });
  await put(`${file()}.new`);
  await writeJobState(pool, { ...state, workerId: 4 });
  expect(await readJobState(pool)).toEqual({ ...state, workerId: 4 });
  expect(await readJobState(pool)).not.toEqual(JSON.parse(await Bun.file(join(pool, "elsewhere")).text()));
});

test("a pool without a job has no state, before and after", async () => {
  expect(await readJobState(pool)).toBeUndefined();
  await writeJobState(pool, state);
  await removeJobState(pool);
  expect(await readdir(pool)).toEqual([]);
});
