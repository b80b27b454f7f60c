// Runs of isotovideo that a worker process of its own, KILLed meanwhile, has left in a pool.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Pool } from "./pool.ts";

const source = join(import.meta.dir, "../../src");

/** Leaves a shell script in place of isotovideo, which has begun. Returns the supervisor's pid. */
export async function leaveScript(pool: Pool, script: string): Promise<number> {
  const supervisor = await leaveCommand(pool, ["/bin/sh", "-c", `echo > begun; ${script}`]);
  await pool.awaitFile("begun");
  return supervisor;
}

/** Leaves the fake isotovideo, under way with these settings. Returns the supervisor's pid. */
export async function leaveFake(pool: Pool, vars: Readonly<Record<string, string>>): Promise<number> {
  await writeFile(pool.path("vars.json"), JSON.stringify({ NAME: "fake", ...vars }));
  const fake = join(import.meta.dir, "../support/fake-isotovideo");
  const supervisor = await leaveCommand(pool, ["perl", fake, "-d"]);
  await pool.awaitFile("video.ogv");
  return supervisor;
}

async function leaveCommand(pool: Pool, command: readonly string[]): Promise<number> {
  const start = {
    command,
    poolDirectory: pool.folder,
    environment: { PATH: process.env["PATH"] },
    logFile: pool.path("autoinst-log.txt"),
    jobId: 12,
    graceMs: 200,
  };
  return await leaveRun(
    pool,
    `const { startIsotovideo } = await import(${JSON.stringify(`${source}/isotovideo/start.ts`)});
     const run = await startIsotovideo(${JSON.stringify(start)}, context);`,
  );
}

/** Takes over what runs in the pool, and leaves it again. Returns the supervisor's pid. */
export async function leaveAdopted(pool: Pool): Promise<number> {
  return await leaveRun(
    pool,
    `const { adoptIsotovideo } = await import(${JSON.stringify(`${source}/isotovideo/adopt.ts`)});
     const run = await adoptIsotovideo(${JSON.stringify({ poolDirectory: pool.folder, graceMs: 200 })}, context);`,
  );
}

/** `script` gets a `run` in a process that holds the pool and is KILLed as soon as there is one. */
async function leaveRun(pool: Pool, script: string): Promise<number> {
  const whole = `
    const { lockPool } = await import(${JSON.stringify(`${source}/slot/pool-lock.ts`)});
    const { silentLog } = await import(${JSON.stringify(`${source}/ops/log.ts`)});
    await lockPool(${JSON.stringify(pool.folder)});
    const context = { signal: new AbortController().signal, log: silentLog };
    ${script}
    console.log(run.supervisorPid);
    await run.ended;`;
  const worker = Bun.spawn([process.execPath, "-e", whole], { stdio: ["ignore", "pipe", "inherit"] });
  const { value } = await worker.stdout.getReader().read();
  worker.kill("SIGKILL");
  await worker.exited;
  return Number(new TextDecoder().decode(value));
}
