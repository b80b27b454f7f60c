import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { SetupFailure } from "../../src/errors.ts";
import { killSupervised } from "../../src/isotovideo/job-processes.ts";
import { jobMark } from "../../src/isotovideo/pool-state.ts";
import { parseStat, readProcess } from "../../src/process/process-entry.ts";
import { listProcesses } from "../../src/process/process-list.ts";
import { supervisorHolds } from "../../src/slot/pool-lock.ts";
import { nasty, nastyAndQuick, Pool, until } from "./pool.ts";

let pool: Pool;
beforeEach(async () => {
  pool = await Pool.create();
});
afterEach(() => pool.remove());

describe("isotovideo", () => {
  test("runs in the pool, detached, with its output in the log and nothing else open", async () => {
    await writeFile(pool.path("autoinst-log.txt"), "+++ worker notes +++\n");
    const run = await pool.start(
      "pwd; echo to stderr >&2; env > env; cat /proc/$$/stat > stat; cat; exec readlink /proc/$$/fd/*",
    );
    expect(await run.ended).toMatchObject({ kind: "exited" });
    const log = pool.path("autoinst-log.txt");
    expect(await pool.read("autoinst-log.txt")).toBe(
      `+++ worker notes +++\n${pool.folder}\nto stderr\n/dev/null\n${log}\n${log}\n`,
    );
    expect(parseStat(await pool.read("stat"))).toMatchObject({
      pid: run.isotovideoPid,
      parentPid: run.supervisorPid,
      sessionId: run.isotovideoPid,
    });
    const environment = (await pool.read("env")).split("\n");
    expect(environment).toContain("FOR_THE_JOB=2");
    expect(environment).toContain(`OPENQA_WORKER_JOB=${pool.folder}#12`);
    expect(environment.filter((line) => line.startsWith("BUN_"))).toEqual([]);
    expect(await pool.openFiles()).toEqual([]);
  });

  test.each([
    ["exit 0", { kind: "exited", code: 0 }],
    ["exit 3", { kind: "exited", code: 3 }],
    ["kill -KILL $$", { kind: "signalled", signal: "SIGKILL" }],
    ["kill -SEGV $$", { kind: "signalled", signal: "SIGSEGV" }],
    ["exec /does/not/exist", { kind: "exited", code: 127 }],
  ] as const)("that does '%s' has ended so", async (script, end) => {
    const run = await pool.start(script);
    expect(await run.ended).toEqual(end);
  });

  test("that cannot be started is a failure of the set-up", async () => {
    const error = await pool.startCommand(["/does/not/exist", "-d"]).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(SetupFailure);
    expect(error.category).toBe("setup failure");
    expect(error.message).toStartWith("isotovideo can not be started: ");
    expect(error.message).toContain("/does/not/exist");
    expect(await pool.alive()).toEqual([]);
    expect(await pool.openFiles()).toEqual([]);
  });

  test("that is to be started in a pool where a job still runs is a failure of the set-up", async () => {
    const first = await pool.start("sleep 60");
    const error = await pool.start("true").catch((thrown) => thrown);
    expect(error).toBeInstanceOf(SetupFailure);
    expect(error.message).toContain("another job still runs");
    await first.kill();
  });

  test("whose supervisor cannot be started is a failure of the set-up", async () => {
    await writeFile(pool.path(".openqa-worker"), "no folder");
    expect(await pool.start("true").catch((thrown) => thrown)).toBeInstanceOf(SetupFailure);
  });

  test("is not started, and nothing is left, when the job is stopped meanwhile", async () => {
    const stop = new AbortController();
    const reason = new Error("cancelled");
    // One that never says that it has started isotovideo.
    const supervisorCommand = ["/bin/sh", "-c", "exec sleep 60"];
    const context = { ...pool.context, signal: stop.signal };
    const start = pool.start("true", { context, supervisorCommand });
    await until("the supervisor is there", async () => (await pool.alive()).at(0));
    stop.abort(reason);
    expect(await start.catch((thrown) => thrown)).toBe(reason);
    expect(await pool.alive()).toEqual([]);
    expect(await pool.openFiles()).toEqual([]);
  });
});

describe("the supervisor", () => {
  test("holds its share of the pool's lock, and leaves who runs and how it ended", async () => {
    const run = await pool.start("exec sleep 60");
    expect(await supervisorHolds(pool.folder)).toBe(true);
    const supervisor = JSON.parse(await pool.read(".openqa-worker/supervisor.json"));
    expect(supervisor).toEqual({
      format: 1,
      pid: run.supervisorPid,
      startTicks: (await readProcess(run.supervisorPid))!.startTicks,
      isotovideo: { pid: run.isotovideoPid, startTicks: (await readProcess(run.isotovideoPid))!.startTicks },
    });
    process.kill(run.isotovideoPid, "SIGKILL");
    await run.ended;
    expect(await supervisorHolds(pool.folder)).toBe(false);
    const exit = JSON.parse(await pool.read(".openqa-worker/exit.json"));
    expect(exit).toEqual({ format: 1, signal: "SIGKILL", endedAt: expect.any(Number), swept: [], left: [] });
    expect(Math.abs(exit.endedAt - Date.now())).toBeLessThan(5000);
  });

  test("is listed by the name of the program", async () => {
    const run = await pool.start("exec sleep 60");
    const [argv0, ...rest] = (await Bun.file(`/proc/${run.supervisorPid}/cmdline`).text()).split("\0");
    expect(argv0).toBe("openqa-worker");
    expect(rest.slice(-3)).toEqual(["__supervise", pool.path(".openqa-worker/supervise.json"), ""]);
    await until("it has named itself", async () => {
      return (await readProcess(run.supervisorPid))?.name === "openqa-worker" || undefined;
    });
    await run.kill();
  });

  test("starts afresh where an earlier one has left its files", async () => {
    await (await pool.start("exit 5")).ended;
    const run = await pool.start("sleep 60");
    expect(await pool.read(".openqa-worker/exit.json").catch(() => "gone")).toBe("gone");
    await run.kill();
  });

  test("takes away what it adopts while isotovideo runs", async () => {
    const run = await pool.start(
      "for i in 1 2 3 4 5 6 7 8; do (setsid true &); done; echo > forked; sleep 60",
    );
    await pool.awaitFile("forked");
    await until("no zombie is left", async () => {
      const children = (await listProcesses()).filter(({ parentPid }) => parentPid === run.supervisorPid);
      return children.length === 1 || undefined;
    });
    await run.kill();
  });

  test("ends all that isotovideo leaves, however hard to get rid of, and says so (field lesson 6)", async () => {
    const run = await pool.startFake(nastyAndQuick);
    expect(await run.ended).toEqual({ kind: "exited", code: 4 });
    expect(await pool.alive()).toEqual([]);
    expect(pool.logText).toMatch(/\[info\] Ended what isotovideo has left running: .*sleep \(\d+\)/);
  });

  test("ends what isotovideo leaves with TERM first", async () => {
    const run = await pool.start(
      "(trap 'echo told >> told; exit' TERM; echo > up; while :; do sleep 0.02; done) & while ! [ -e up ]; do :; done",
    );
    expect(await run.ended).toEqual({ kind: "exited", code: 0 });
    expect(await pool.read("told")).toBe("told\n");
  });

  test("ends all when isotovideo is killed", async () => {
    const run = await pool.startFake(nasty);
    process.kill(run.isotovideoPid, "SIGKILL");
    expect(await run.ended).toEqual({ kind: "signalled", signal: "SIGKILL" });
    expect(await pool.alive()).toEqual([]);
  });
});

describe("stopping", () => {
  test("tells isotovideo alone, which finishes with the help of its children (field lesson 6)", async () => {
    const run = await pool.start(
      `sleep 60 & child=$!
       trap 'sleep 0.2; kill -0 $child && echo "encoder alive"; exit 1' TERM
       echo > up; while :; do sleep 0.02; done`,
    );
    await pool.awaitFile("up");
    expect(await run.stop()).toEqual({ kind: "exited", code: 1 });
    expect(await pool.read("autoinst-log.txt")).toBe("encoder alive\n");
    expect(await pool.alive()).toEqual([]);
  });

  test("waits for the grace period, also when asked again, then ends all (field lesson 5)", async () => {
    const run = await pool.startFake(nasty, 300);
    const begin = performance.now();
    void run.stop();
    expect(await run.stop()).toEqual({ kind: "signalled", signal: "SIGKILL" });
    expect(performance.now() - begin).toBeGreaterThanOrEqual(300);
    expect(await pool.alive()).toEqual([]);
  });

  test("is hurried by a kill", async () => {
    const run = await pool.startFake(nasty);
    const begin = performance.now();
    void run.stop();
    expect(await run.kill()).toEqual({ kind: "signalled", signal: "SIGKILL" });
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(await pool.alive()).toEqual([]);
  });

  test("by a kill needs no stop before, and none helps afterwards", async () => {
    const run = await pool.startFake(nasty);
    expect(await run.kill()).toEqual({ kind: "signalled", signal: "SIGKILL" });
    expect(await run.stop()).toEqual(await run.kill());
    expect(await pool.alive()).toEqual([]);
  });

  test("a second TERM to the supervisor kills at once", async () => {
    const run = await pool.startFake(nasty);
    process.kill(run.supervisorPid, "SIGTERM");
    await until("the first has arrived", async () => {
      const status = await Bun.file(`/proc/${run.supervisorPid}/status`).text();
      return /^ShdPnd:\t0+$/m.test(status) || undefined;
    });
    process.kill(run.supervisorPid, "SIGTERM");
    expect(await run.ended).toEqual({ kind: "signalled", signal: "SIGKILL" });
    expect(await pool.alive()).toEqual([]);
  });
});

describe("when the supervisor", () => {
  test("is killed, how isotovideo ended is not known, and nothing of the job is alive", async () => {
    const run = await pool.startFake(nasty);
    process.kill(run.supervisorPid, "SIGKILL");
    expect(await run.ended).toEqual({ kind: "lost" });
    expect(await pool.alive()).toEqual([]);
    expect(pool.logText).toContain(
      `[error] The supervisor of isotovideo (process ${run.supervisorPid}) has died`,
    );
  });

  test("is killed, the job of another pool goes on", async () => {
    const other = await Pool.create();
    try {
      const otherRun = await other.startFake(nasty);
      const run = await pool.startFake(nasty);
      process.kill(run.supervisorPid, "SIGKILL");
      expect(await run.ended).toEqual({ kind: "lost" });
      expect(await readProcess(otherRun.supervisorPid)).toMatchObject({
        state: expect.stringMatching(/[RS]/),
      });
      expect(await readProcess(otherRun.isotovideoPid)).toMatchObject({
        state: expect.stringMatching(/[RS]/),
      });
      expect(await otherRun.kill()).toEqual({ kind: "signalled", signal: "SIGKILL" });
      expect(await pool.alive()).toEqual([]);
    } finally {
      await other.remove();
    }
  });

  test("is killed, what the worker itself has started for other pools goes on", async () => {
    const run = await pool.startFake(nasty);
    const hook = Bun.spawn(["sleep", "60"], {
      detached: true,
      env: { ...process.env, ...jobMark("/elsewhere", "hook") },
    });
    const child = Bun.spawn(["sleep", "60"]);
    process.kill(run.supervisorPid, "SIGKILL");
    expect(await run.ended).toEqual({ kind: "lost" });
    expect((await pool.alive()).map(({ pid }) => pid).sort()).toEqual([hook.pid, child.pid].sort());
    hook.kill();
    child.kill();
    await Promise.all([hook.exited, child.exited]);
  });

  test("hangs, it is killed with all below it", async () => {
    const run = await pool.startFake(nasty);
    process.kill(run.supervisorPid, "SIGSTOP");
    const { startTicks } = (await readProcess(run.supervisorPid))!;
    await killSupervised({ pid: run.supervisorPid, startTicks });
    expect(await run.ended).toEqual({ kind: "lost" });
    expect(await pool.alive()).toEqual([]);
  });
});
