import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { openSlotLog } from "../../src/slot/slot-log.ts";
import { Sandbox } from "../config/sandbox.ts";

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await Sandbox.create();
});
afterEach(() => sandbox[Symbol.asyncDispose]());

/** Logs one line of slot 3 with these environment variables; resolves with what the file has. */
async function lineIn(file: string, env: Record<string, string>): Promise<string> {
  const settings = await sandbox.load({ instance: 3, env });
  const { log, close } = await openSlotLog(settings, sandbox.program());
  log.debug("below the level");
  log.info("hello");
  await close();
  return (await readFile(file, "utf8")).replace(/^\[.*?\] /, "");
}

test("LOG_DIR is made, with a file for each slot", async () => {
  const folder = join(sandbox.folder, "log/worker");
  const line = await lineIn(join(folder, "host-3.log"), { OPENQA_WORKER_LOG_DIR: folder });
  expect(line).toBe("[info] [slot 3] hello\n");
});

test("OPENQA_LOGFILE is the name in LOG_DIR, or a path of its own", async () => {
  const folder = join(sandbox.folder, "log");
  const env = { OPENQA_WORKER_LOG_DIR: folder, OPENQA_LOGFILE: "mine.log" };
  expect(await lineIn(join(folder, "mine.log"), env)).toContain("hello");
  const path = join(sandbox.folder, "alone.log");
  expect(await lineIn(path, { OPENQA_LOGFILE: path })).toContain("hello");
});

test("a log that cannot be written is a matter of the set-up", async () => {
  const settings = await sandbox.load({ env: { OPENQA_WORKER_LOG_DIR: "/dev/null/log" } });
  const opening = openSlotLog(settings, sandbox.program());
  await expect(opening).rejects.toThrow(UsageError);
  await expect(opening).rejects.toThrow("/dev/null");
});
