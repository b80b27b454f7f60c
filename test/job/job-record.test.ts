import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JobRecord } from "../../src/job/job-record.ts";
import { type JobState, readJobState } from "../../src/job/state-file.ts";
import { recordingContext } from "./job-host.ts";

const state: JobState = {
  format: 1,
  job: { id: "12" },
  host: "openqa.example.com",
  workerId: 3,
  phase: "delivering",
  acceptedAt: 1_000,
};

test("the file has the latest of all that was told, when what was told last is resolved", async () => {
  const pool = await mkdtemp(join(tmpdir(), "job-record-"));
  const record = new JobRecord(pool, state, recordingContext().log);
  for (let round = 0; round < 20; round++) {
    const names = Array.from({ length: round }, (_, index) => `ulogs/${round}-${index}`);
    for (const name of names) void record.delivered(name);
    // Whoever is told that a write has ended may have more to write.
    await record.save("delivering").then(() => record.delivered(`after ${round}`));
    expect((await readJobState(pool))?.delivered).toEqual(record.state.delivered);
  }
  expect(record.state.delivered).toHaveLength(20 + (20 * 19) / 2);
  await rm(pool, { recursive: true });
});

test("what is told after the end of all leaves no state of a job behind", async () => {
  const pool = await mkdtemp(join(tmpdir(), "job-record-"));
  const record = new JobRecord(pool, state, recordingContext().log);
  void record.save("delivering");
  const late = record.remove();
  await record.reported({ currentModule: "shell", sentModules: ["boot"] });
  await late;
  expect(await readdir(pool)).toEqual([]);
  await rm(pool, { recursive: true });
});

test("a state that cannot be removed is logged and ends nothing", async () => {
  const pool = await mkdtemp(join(tmpdir(), "job-record-"));
  await writeFile(join(pool, "file"), "");
  const { log, lines } = recordingContext();
  await new JobRecord(join(pool, "file"), state, log).remove();
  expect(lines.join("\n")).toContain("[error] Unable to remove the state of the job");
  await rm(pool, { recursive: true });
});
