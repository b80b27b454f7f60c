import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { endLeftOverJob } from "../../src/isotovideo/left-over-job.ts";
import { lockPool, supervisorHolds } from "../../src/slot/pool-lock.ts";
import { leaveFake } from "./left-run.ts";
import { nasty, Pool, until } from "./pool.ts";

let pool: Pool;
beforeEach(async () => {
  pool = await Pool.create();
});
afterEach(() => pool.remove());

describe("the job of a worker that was killed", () => {
  test("goes on, is found by the next start, and brought to its end by its supervisor", async () => {
    const supervisor = await leaveFake(pool, nasty);
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
    process.kill(await leaveFake(pool, nasty), "SIGSTOP");
    await endLeftOverJob(pool.folder, pool.context, { waitMs: 100 });
    expect(await pool.alive()).toEqual([]);
    expect(await supervisorHolds(pool.folder)).toBe(false);
  });

  test("is killed when its supervisor is dead as well", async () => {
    const supervisor = await leaveFake(pool, nasty);
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
    await leaveFake(pool, nasty);
    await writeFile(pool.path(".openqa-worker/supervisor.json"), content);
    expect((await endLeftOverJob(pool.folder, pool.context)).length).toBeGreaterThan(0);
    expect(await pool.alive()).toEqual([]);
  });

  test("is not waited for when the worker is stopped meanwhile", async () => {
    process.kill(await leaveFake(pool, nasty), "SIGSTOP");
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
