import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { endLeftOverJob } from "../../src/isotovideo/left-over-job.ts";
import { lockPool, supervisorHolds } from "../../src/slot/pool-lock.ts";
import { nasty, Pool, until } from "./pool.ts";

let pool: Pool;
beforeEach(async () => {
  pool = await Pool.create();
});
afterEach(() => pool.remove());

const source = join(import.meta.dir, "../../src");

/** Runs the fake isotovideo under a worker process of its own that is KILLed as soon as the job runs. */
async function startAndKillWorker(): Promise<number> {
  await writeFile(pool.path("vars.json"), JSON.stringify({ NAME: "fake", ...nasty }));
  const start = {
    command: ["perl", join(import.meta.dir, "../support/fake-isotovideo"), "-d"],
    poolDirectory: pool.folder,
    environment: { PATH: process.env["PATH"] },
    logFile: pool.path("autoinst-log.txt"),
    jobId: 12,
    graceMs: 200,
  };
  const script = `
    const { startIsotovideo } = await import(${JSON.stringify(`${source}/isotovideo/start.ts`)});
    const { lockPool } = await import(${JSON.stringify(`${source}/slot/pool-lock.ts`)});
    const { silentLog } = await import(${JSON.stringify(`${source}/ops/log.ts`)});
    await lockPool(${JSON.stringify(pool.folder)});
    const context = { signal: new AbortController().signal, log: silentLog };
    const run = await startIsotovideo(${JSON.stringify(start)}, context);
    console.log(run.supervisorPid);
    await run.ended;`;
  const worker = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const { value } = await worker.stdout.getReader().read();
  await pool.awaitFile("video.ogv");
  worker.kill("SIGKILL");
  await worker.exited;
  return Number(new TextDecoder().decode(value));
}

describe("the job of a worker that was killed", () => {
  test("goes on, is found by the next start, and brought to its end by its supervisor", async () => {
    const supervisor = await startAndKillWorker();
    const lock = await lockPool(pool.folder);
    expect(await supervisorHolds(pool.folder)).toBe(true);
    expect((await pool.alive()).length).toBeGreaterThan(1);

    const ended = await endLeftOverJob(pool.folder, pool.context);
    expect(ended.some((name) => name.endsWith(`(${supervisor})`))).toBe(true);
    expect(await pool.alive()).toEqual([]);
    expect(await supervisorHolds(pool.folder)).toBe(false);
    expect(JSON.parse(await pool.read(".openqa-worker/exit.json"))).toMatchObject({ signal: "SIGKILL" });
    expect(pool.logText).toContain("[warn] Ending what an earlier worker's job has left running: ");
    await lock.release();
  });

  test("is killed when its supervisor hangs", async () => {
    process.kill(await startAndKillWorker(), "SIGSTOP");
    await endLeftOverJob(pool.folder, pool.context, { waitMs: 100 });
    expect(await pool.alive()).toEqual([]);
    expect(await supervisorHolds(pool.folder)).toBe(false);
  });

  test("is killed when its supervisor is dead as well", async () => {
    const supervisor = await startAndKillWorker();
    process.kill(supervisor, "SIGKILL");
    await until("the supervisor is dead", async () => !(await supervisorHolds(pool.folder)) || undefined);
    expect((await endLeftOverJob(pool.folder, pool.context)).length).toBeGreaterThan(0);
    expect(await pool.alive()).toEqual([]);
  });

  test.each([
    "no JSON",
    "{}",
    '{"format":1,"pid":1,"startTicks":"0","isotovideo":{"pid":1,"startTicks":"0"}}',
  ])("is killed when the file about its supervisor says '%s'", async (content) => {
    await startAndKillWorker();
    await writeFile(pool.path(".openqa-worker/supervisor.json"), content);
    expect((await endLeftOverJob(pool.folder, pool.context)).length).toBeGreaterThan(0);
    expect(await pool.alive()).toEqual([]);
  });

  test("is not waited for when the worker is stopped meanwhile", async () => {
    process.kill(await startAndKillWorker(), "SIGSTOP");
    const stop = new AbortController();
    const ending = endLeftOverJob(pool.folder, { ...pool.context, signal: stop.signal });
    await until("it has begun", async () => pool.logged.at(0));
    stop.abort(new Error("stopped"));
    expect(await ending.catch((thrown) => thrown.message)).toBe("stopped");
  });
});

test("a pool without a job is left alone, whatever is written in it", async () => {
  const bystander = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"] });
  await pool.makeFolder(".openqa-worker");
  const stat = await Bun.file(`/proc/${bystander.pid}/stat`).text();
  const identity = { pid: bystander.pid, startTicks: stat.split(" ")[21] };
  await writeFile(
    pool.path(".openqa-worker/supervisor.json"),
    JSON.stringify({ format: 1, ...identity, isotovideo: identity }),
  );
  expect(await endLeftOverJob(pool.folder, pool.context)).toEqual([]);
  expect(pool.logged).toEqual([]);
  expect(bystander.exitCode).toBeNull();
  expect((await pool.alive()).map(({ pid }) => pid)).toEqual([bystander.pid]);
  bystander.kill();
  await bystander.exited;
});
