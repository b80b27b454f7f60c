import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ProgramCall, runProgram } from "../../src/process/run-program.ts";
import { until } from "../isotovideo/pool.ts";
import { livingDescendants } from "../support/born-processes.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "run-program-"));
});
afterAll(() => rm(folder, { recursive: true }));

const never = new AbortController().signal;

/** Runs a shell script; resolves with how it ended and what it wrote. */
async function run(script: string, options: Partial<ProgramCall> = {}, signal = never) {
  let output: string | undefined;
  const call: ProgramCall = {
    program: "/bin/sh",
    flags: ["-c", script],
    directory: folder,
    environment: { PATH: process.env["PATH"] ?? "" },
    outputFolder: folder,
    maxOutputBytes: 1024,
    onOutput: (text) => {
      output = text;
    },
    ...options,
  };
  const end = await runProgram(call, signal).catch((error: unknown) => ({ kind: "thrown", error }));
  return { end, output };
}

async function appeared(name: string): Promise<string> {
  return await until(`${name} is there`, async () => {
    return (await readFile(join(folder, name), "utf8").catch(() => "")) || undefined;
  });
}

describe("a program", () => {
  test("writes both streams to one place, in order, and tells its exit code", async () => {
    const { end, output } = await run("echo one; echo two >&2; echo three; exit 4");
    expect(end).toEqual({ kind: "exited", exitCode: 4 });
    expect(output).toBe("one\ntwo\nthree\n");
  });

  test("sees the environment and the folder that it is given, and nothing to read", async () => {
    const { output } = await run('echo "$A $HOME"; pwd; cat', {
      environment: { PATH: "/usr/bin:/bin", A: "b" },
    });
    expect(output).toBe(`b \n${folder}\n`);
  });

  test("that writes a lot: the end is kept", async () => {
    const { output } = await run("seq 1 10000", { maxOutputBytes: 12 });
    expect(output).toBe("\n9999\n10000\n");
  });

  test("that is ended by a signal did not exit", async () => {
    const { end, output } = await run("echo up; kill -KILL $$");
    expect(end).toEqual({ kind: "killed", signal: "SIGKILL" });
    expect(output).toBe("up\n");
  });

  test("that is not there is named", async () => {
    const { end } = await run("", { program: "no-such-program", environment: { PATH: "/nowhere" } });
    expect(end).toMatchObject({
      kind: "not started",
      code: "ENOENT",
      message: expect.stringContaining("no-such-program"),
    });
  });

  test("leaves nothing in the folder of its output, not even while it runs", async () => {
    const { output } = await run("ls -A", { directory: folder });
    expect(output).toBe("");
    expect(await readdir(folder)).toEqual([]);
  });

  test("may leave something running that holds its output", async () => {
    const { end, output } = await run("setsid sleep 60 & echo $!");
    expect(end).toEqual({ kind: "exited", exitCode: 0 });
    process.kill(Number(output), "SIGKILL");
  });
});

describe("a program that is silent for too long", () => {
  test("is ended with all that it started", async () => {
    const { end, output } = await run("echo up; setsid sleep 60 & sleep 60", { maxSilenceMs: 200 });
    expect(end).toEqual({ kind: "hung" });
    expect(output).toBe("up\n");
    expect(await livingDescendants()).toEqual([]);
  });

  test("is one that writes nothing, not one that runs for long", async () => {
    const { end } = await run("for i in 1 2 3 4 5 6 7 8; do sleep 0.1; echo; done", { maxSilenceMs: 600 });
    expect(end).toEqual({ kind: "exited", exitCode: 0 });
  });
});

describe("a program that is not wanted any more", () => {
  test("is not started", async () => {
    const stopped = new Error("stopped");
    const { end, output } = await run("touch started", {}, AbortSignal.abort(stopped));
    expect(end).toEqual({ kind: "thrown", error: stopped });
    expect(output).toBeUndefined();
    expect(await readdir(folder)).not.toContain("started");
  });

  test("is ended with all that it started, also what outlives it; its output is told", async () => {
    const stop = new AbortController();
    const stopped = new Error("stopped");
    // The one in a session of its own ignores TERM, its parent does not.
    const script = "setsid sh -c 'trap \"\" TERM; echo x >ready; sleep 60; sleep 60' & echo up; wait";
    const running = run(script, {}, stop.signal);
    await appeared("ready");
    stop.abort(stopped);
    expect(await running).toEqual({ end: { kind: "thrown", error: stopped }, output: "up\n" });
    expect(await livingDescendants()).toEqual([]);
  }, 20_000);
});
