import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { isotovideoVersion, parseInterfaceVersion } from "../../src/isotovideo/version.ts";
import { Pool } from "./pool.ts";

test.each([
  ["Current version is 4.6.1700000000.abc [interface v34]\n", 34],
  ["Current version is unknown\n", 0],
  ["", 0],
])("%j tells interface version %d", (output, version) => {
  expect(parseInterfaceVersion(output)).toBe(version);
});

describe("asked for its version, isotovideo", () => {
  let pool: Pool;
  beforeEach(async () => {
    pool = await Pool.create();
  });
  afterEach(() => pool.remove());

  async function ask(script: string, options: { timeoutMs?: number } = {}): Promise<number> {
    await writeFile(pool.path("isotovideo"), script);
    const version = await isotovideoVersion(pool.path("isotovideo"), pool.context, options);
    expect(await pool.alive()).toEqual([]);
    return version;
  }

  test("may be a Perl script that is not executable", async () => {
    expect(await ask('print "v [interface v$ARGV[0]7]\\n" =~ s/--version//r')).toBe(7);
  });
  test("may have another interpreter", async () => {
    expect(await ask('#!/bin/sh\necho "[interface v12] $1"\n')).toBe(12);
  });
  test("that fails after telling it has told it", async () => {
    expect(await ask('print "[interface v3]\\n"; exit 1')).toBe(3);
  });
  test("that fails, or is missing, counts as 0", async () => {
    expect(await ask("die")).toBe(0);
    expect(await isotovideoVersion("/does/not/exist", pool.context)).toBe(0);
  });
  test("is cut off when it talks without end", async () => {
    expect(await ask('$| = 1; print "no version\\n" while 1')).toBe(0);
  });
  test("counts as 0 when it takes too long", async () => {
    expect(await ask("sleep 60", { timeoutMs: 50 })).toBe(0);
    expect(pool.logText).toContain("[debug] Unable to ask ");
  });
  test("is not waited for when the worker is stopped", async () => {
    await writeFile(pool.path("isotovideo"), "sleep 60");
    const reason = new Error("stopped");
    const context = { ...pool.context, signal: AbortSignal.abort(reason) };
    expect(await isotovideoVersion(pool.path("isotovideo"), context).catch((thrown) => thrown)).toBe(reason);
    expect(await pool.alive()).toEqual([]);
  });
});
