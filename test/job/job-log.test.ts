import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endNotes, openJobLog, setupNotes } from "../../src/job/job-log.ts";
import { Logger } from "../../src/ops/log.ts";

let pool = "";
beforeEach(async () => {
  pool = await mkdtemp(join(tmpdir(), "job-log-"));
});
afterEach(() => rm(pool, { recursive: true }));

/** The texts of the lines of a log in the pool. */
async function texts(name: string): Promise<string[]> {
  const lines = (await readFile(join(pool, name), "utf8")).trimEnd().split("\n");
  return lines.map((line) => line.replace(/^\[\S+Z\] \[\w+\] /, ""));
}

test("both logs start afresh, and a link in their place is replaced", async () => {
  const outside = join(pool, "outside");
  await writeFile(outside, "precious");
  await symlink(outside, join(pool, "autoinst-log.txt"));
  await writeFile(join(pool, "worker-log.txt"), "of an earlier job");
  await writeFile(join(pool, "serial0.txt"), "of an earlier job");
  const log = await openJobLog(pool, "info");
  log.note("first");
  await log.close();
  expect(await texts("autoinst-log.txt")).toEqual(["first"]);
  expect(await texts("worker-log.txt")).toEqual([""]);
  expect(await readFile(outside, "utf8")).toBe("precious");
  expect(await Bun.file(join(pool, "serial0.txt")).exists()).toBe(false);
});

test("an upload is announced in both logs, on disk when that resolves", async () => {
  const log = await openJobLog(pool, "info");
  new Logger([log.sink]).debug("below the level");
  new Logger([log.sink]).info("of the worker");
  await log.announceUpload("video.ogv");
  expect(await texts("worker-log.txt")).toEqual(["of the worker", "Uploading video.ogv"]);
  expect(await texts("autoinst-log.txt")).toEqual(["Uploading video.ogv"]);
  await log.close();
});

test("the notes are those of the stock worker", () => {
  expect(setupNotes("host.example.com", 3)).toEqual([
    "+++ setup notes +++",
    expect.stringMatching(/^Running on host\.example\.com:3 \(Linux \S+ .+ \S+\)$/),
  ]);
  expect(endNotes("done", "0", new Date("2026-11-24T03:24:11.574Z"))).toEqual([
    "Isotovideo exit status: 0",
    "+++ worker notes +++",
    "End time: 2026-11-24 03:24:11",
    "Result: done",
  ]);
  expect(endNotes("timeout", undefined, new Date(0))[0]).toBe("+++ worker notes +++");
});
