import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rm, writeFile } from "node:fs/promises";
import { adoptIsotovideo } from "../../src/isotovideo/adopt.ts";
import type { IsotovideoRun } from "../../src/isotovideo/isotovideo-run.ts";
import { endLeftOverJob } from "../../src/isotovideo/left-over-job.ts";
import { jobMark } from "../../src/isotovideo/pool-state.ts";
import { makeReportFifo } from "../../src/isotovideo/report-fifo.ts";
import { readProcess } from "../../src/process/process-entry.ts";
import { supervisorHolds } from "../../src/slot/pool-lock.ts";
import { leaveAdopted, leaveFake, leaveScript } from "./left-run.ts";
import { nasty, Pool, until } from "./pool.ts";

let pool: Pool;
beforeEach(async () => {
  pool = await Pool.create();
});
afterEach(() => pool.remove());

const supervisorFile = ".openqa-worker/supervisor.json";
const exitFile = ".openqa-worker/exit.json";
const fifo = ".openqa-worker/reports";

const exitReport = { format: 1, code: 7, endedAt: 1, swept: [], left: [] };

async function adopt(): Promise<IsotovideoRun> {
  const run = await tryToAdopt();
  if (!run) throw new Error(`Not adopted: ${pool.logText}`);
  return run;
}

async function tryToAdopt(): Promise<IsotovideoRun | undefined> {
  return await adoptIsotovideo({ poolDirectory: pool.folder, graceMs: 30_000 }, pool.context);
}

/** A script that ends as told when `go` is called. */
const whenToldTo = (end: string) => `while ! [ -e go ]; do sleep 0.02; done; ${end}`;
const go = () => writeFile(pool.path("go"), "go");

async function supervisorGone(): Promise<void> {
  await until("the supervisor is gone", async () => !(await supervisorHolds(pool.folder)) || undefined);
}

describe("a run that an earlier worker has left", () => {
  test.each([
    ["exit 0", { kind: "exited", code: 0 }],
    ["exit 1", { kind: "exited", code: 1 }],
    ["kill -SEGV $$", { kind: "signalled", signal: "SIGSEGV" }],
  ] as const)("is taken over and ends with '%s'", async (script, end) => {
    const supervisor = await leaveScript(pool, whenToldTo(script));
    const run = await adopt();
    expect(run.supervisorPid).toBe(supervisor);
    expect((await readProcess(run.isotovideoPid))?.parentPid).toBe(supervisor);
    await go();
    expect(await run.ended).toEqual(end);
    expect(await pool.alive()).toEqual([]);
    expect(pool.logText).toBe("");
  });

  test("is taken over by one worker after the other", async () => {
    const supervisor = await leaveScript(pool, whenToldTo("exit 3"));
    expect(await leaveAdopted(pool)).toBe(supervisor);
    expect(await leaveAdopted(pool)).toBe(supervisor);
    const run = await adopt();
    await go();
    expect(await run.ended).toEqual({ kind: "exited", code: 3 });
    expect(await pool.alive()).toEqual([]);
  });

  test("that has ended by itself meanwhile has ended so", async () => {
    await leaveScript(pool, whenToldTo("exit 3"));
    await go();
    await supervisorGone();
    const run = await adopt();
    expect(await run.ended).toEqual({ kind: "exited", code: 3 });
    expect(await run.stop()).toEqual(await run.kill());
  });

  test("can be stopped: isotovideo is told, and finishes with the help of its children", async () => {
    await leaveScript(
      pool,
      `sleep 60 & child=$!
       trap 'sleep 0.1; kill -0 $child && echo "encoder alive"; exit 1' TERM
       echo > up; while :; do sleep 0.02; done`,
    );
    await pool.awaitFile("up");
    const run = await adopt();
    expect(await run.stop()).toEqual({ kind: "exited", code: 1 });
    expect(await pool.read("autoinst-log.txt")).toBe("encoder alive\n");
    expect(await pool.alive()).toEqual([]);
  });

  test("can be stopped, however hard to get rid of, and what it has left is named", async () => {
    await leaveFake(pool, nasty);
    const run = await adopt();
    void run.stop();
    expect(await run.stop()).toEqual({ kind: "signalled", signal: "SIGKILL" });
    expect(await pool.alive()).toEqual([]);
    expect(pool.logText).toMatch(/\[info\] Ended what isotovideo has left running: .*sleep \(\d+\)/);
  });

  test("can be killed at once", async () => {
    await leaveFake(pool, nasty);
    const run = await adopt();
    expect(await run.kill()).toEqual({ kind: "signalled", signal: "SIGKILL" });
    expect(await run.stop()).toEqual(await run.kill());
    expect(await pool.alive()).toEqual([]);
  });

  test("is lost when its supervisor is killed, and nothing of it is alive", async () => {
    const supervisor = await leaveFake(pool, nasty);
    const run = await adopt();
    process.kill(supervisor, "SIGKILL");
    expect(await run.ended).toEqual({ kind: "lost" });
    expect(await pool.alive()).toEqual([]);
    expect(pool.logText).toContain(`[error] The supervisor of isotovideo (process ${supervisor}) has died`);
  });

  test("is lost when its supervisor has been killed meanwhile, and nothing of it is alive", async () => {
    process.kill(await leaveFake(pool, nasty), "SIGKILL");
    await supervisorGone();
    const run = await adopt();
    expect(await run.ended).toEqual({ kind: "lost" });
    expect(await pool.alive()).toEqual([]);
  });

  test("leaves no descriptor open when it has ended", async () => {
    await leaveScript(pool, whenToldTo("exit 0"));
    const run = await adopt();
    expect(await pool.openFiles()).toContain(pool.path(fifo));
    await go();
    await run.ended;
    expect(await pool.openFiles()).toEqual([]);
  });

  test("is not taken over when the worker is stopped meanwhile", async () => {
    await leaveScript(pool, "sleep 60");
    const signal = AbortSignal.abort(new Error("stopped"));
    const adopting = adoptIsotovideo({ poolDirectory: pool.folder, graceMs: 0 }, { ...pool.context, signal });
    expect(await adopting.catch((thrown) => thrown.message)).toBe("stopped");
    expect(await supervisorHolds(pool.folder)).toBe(true);
    expect(await pool.openFiles()).toEqual([]);
  });
});

describe("what runs in a pool is not taken over, and can be ended,", () => {
  const identity = { pid: 1, startTicks: "0" };
  test.each([
    ["there is no file about its supervisor", supervisorFile, undefined],
    ["the file about its supervisor is no JSON", supervisorFile, "no JSON"],
    ["the file about its supervisor says nothing", supervisorFile, "{}"],
    [
      "its supervisor has another format",
      supervisorFile,
      JSON.stringify({ format: 2, ...identity, isotovideo: identity }),
    ],
    ["the file about its end is no JSON", exitFile, "no JSON"],
    ["the file about its end has another format", exitFile, JSON.stringify({ ...exitReport, format: 2 })],
    ["there is no FIFO", fifo, undefined],
    ["there is a file in place of the FIFO", fifo, "some text"],
  ])("when %s", async (_, name, content) => {
    await leaveFake(pool, nasty);
    await rm(pool.path(name), { force: true });
    if (content !== undefined) await writeFile(pool.path(name), content);
    expect(await tryToAdopt()).toBeUndefined();
    expect(await pool.openFiles()).toEqual([]);
    expect(await supervisorHolds(pool.folder)).toBe(true);
    await endLeftOverJob(pool.folder, pool.context, { waitMs: 0 });
    expect(await pool.alive()).toEqual([]);
  });
});

test("in a pool where nothing was started is nothing to take over", async () => {
  expect(await tryToAdopt()).toBeUndefined();
  await pool.makeFolder(".openqa-worker");
  expect(await tryToAdopt()).toBeUndefined();
  expect(pool.logged).toEqual([]);
});

describe("a process that has the supervisor's pid", () => {
  test.each(["since a later time", "since the same time after a reboot"])(
    "%s is none, and is left alone",
    async (since) => {
      const bystander = await spawnBystander(since === "since a later time" ? "1" : undefined);
      expect(await tryToAdopt()).toBeUndefined();
      expect(pool.logText).toContain(
        `process ${bystander.pid} is another one than the supervisor that was started`,
      );
      expect((await pool.alive()).map(({ pid }) => pid)).toEqual([bystander.pid]);
    },
  );

  test("does not matter when it is known how isotovideo has ended", async () => {
    const bystander = await spawnBystander("1");
    await writeFile(pool.path(exitFile), JSON.stringify(exitReport));
    const run = await adopt();
    expect(await run.ended).toEqual({ kind: "exited", code: 7 });
    await run.kill();
    expect((await pool.alive()).map(({ pid }) => pid)).toEqual([bystander.pid]);
  });

  async function spawnBystander(startTicks?: string) {
    await pool.makeFolder(".openqa-worker");
    const bystander = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"] });
    await writeSupervisor(bystander.pid, startTicks === undefined ? {} : { startTicks });
    return bystander;
  }
});

describe("a supervisor", () => {
  test("may be newer: what it tells more does not matter", async () => {
    await startAsSupervisor(whenToldTo(`${report({ ...exitReport, more: 1 })}; sleep 0.1`), { more: 1 });
    const run = await adopt();
    await go();
    expect(await run.ended).toEqual({ kind: "exited", code: 7 });
    expect(await pool.alive()).toEqual([]);
  });

  test("that has told the end is waited for", async () => {
    await startAsSupervisor(`${report(exitReport)}; sleep 0.3`);
    expect(await (await adopt()).ended).toEqual({ kind: "exited", code: 7 });
    expect(await pool.alive()).toEqual([]);
  });

  test("whose report somebody else has read has written it to a file as well", async () => {
    await startAsSupervisor(whenToldTo(`echo '${JSON.stringify(exitReport)}' > ${exitFile}`));
    const run = await adopt();
    await go();
    expect(await run.ended).toEqual({ kind: "exited", code: 7 });
  });

  test("that tells nonsense is killed with all below it", async () => {
    const supervisor = await startAsSupervisor(
      whenToldTo("sleep 60 & env -i setsid sleep 60 & echo nonsense; sleep 60"),
    );
    const run = await adopt();
    await go();
    expect(await run.ended).toEqual({ kind: "lost" });
    expect(await pool.alive()).toEqual([]);
    expect(pool.logText).toContain(`[error] The supervisor of isotovideo (process ${supervisor.pid}): `);
    expect(await pool.openFiles()).toEqual([]);
  });

  /** Runs a script in place of a supervisor. */
  async function startAsSupervisor(script: string, more = {}) {
    await pool.makeFolder(".openqa-worker");
    await using reports = await makeReportFifo(pool.folder);
    const child = Bun.spawn(["/bin/sh", "-c", `echo > begun; ${script}`], {
      cwd: pool.folder,
      env: { ...process.env, ...jobMark(pool.folder, 12) },
      detached: true,
      stdio: ["ignore", reports.fd, "inherit"],
    });
    await pool.awaitFile("begun");
    await writeSupervisor(child.pid, more);
    return child;
  }

  function report(ended: object): string {
    return `echo '${JSON.stringify({ ended })}'`;
  }
});

async function writeSupervisor(pid: number, more: object): Promise<void> {
  const { startTicks } = (await readProcess(pid))!;
  const identity = { pid, startTicks };
  await writeFile(
    pool.path(supervisorFile),
    JSON.stringify({ format: 1, ...identity, isotovideo: identity, ...more }),
  );
}
