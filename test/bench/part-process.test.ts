import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { livingDescendants } from "../support/born-processes.ts";
import { runPart } from "./part-process.ts";

let folder = "";
const oldTemporaryFolder = process.env["TMPDIR"];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "part-process-"));
  await mkdir(join(folder, "tmp"));
  process.env["TMPDIR"] = join(folder, "tmp");
});
afterAll(async () => {
  if (oldTemporaryFolder === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = oldTemporaryFolder;
  await rm(folder, { recursive: true });
});

const patience = { lingerMs: 100, killMs: 200, limitMs: 5000 };

/** Runs what a part does; FILE is where its measurements go. */
async function run(body: string, signal = new AbortController().signal) {
  const script = join(folder, "part.ts");
  await writeFile(script, `const [, , name, rounds, FILE] = process.argv;\n${body}`);
  return await runPart({ name: "x", rounds: 3, signal, script, patience });
}

const measured = `await Bun.write(FILE, JSON.stringify([{ name, unit: "ms", sides: { ours: [Number(rounds)] } }]));`;
/** Starts a process that is nobody's child any more, with a number of seconds to know it by. */
const leave = (seconds: string, more = "") =>
  `await Bun.spawn(["sh", "-c", "${more} setsid sleep ${seconds} & echo"], { stdout: "ignore" }).exited;`;

/** Nothing may be left of a part, however it ended. */
async function expectNothingLeft(...commands: string[]): Promise<void> {
  const living = (await livingDescendants()).map(({ command }) => command);
  expect(living.filter((command) => commands.includes(command))).toEqual([]);
  expect(await readdir(join(folder, "tmp"))).toEqual([]);
}

test("a part hands over its measurements, and its files go", async () => {
  const found = await run(`await Bun.write(process.env.TMPDIR + "/folder/file", "x");\n${measured}`);
  expect(found).toEqual([{ name: "x", unit: "ms", sides: { ours: [3] } }]);
  await expectNothingLeft();
});

test("a part that fails is told from others by its exit code", async () => {
  await expect(run("process.exit(7)")).rejects.toThrow("its process ended with exit code 7");
  await expectNothingLeft();
});

test("the logs that a failing part has kept outlive it", async () => {
  const body = `await Bun.write(process.env.TMPDIR + "/openqa-worker-e2e-logs-1/webui.log", "x");\nprocess.exit(1);`;
  const path = join(folder, "tmp/openqa-worker-e2e-logs-1");
  await expect(run(body)).rejects.toThrow(`exit code 1, see above; logs kept in ${path}`);
  expect(await readdir(path)).toEqual(["webui.log"]);
  await rm(path, { recursive: true });
  await expectNothingLeft();
});

test("a process that a part leaves is named and ended, although it is nobody's child and ignores TERM", async () => {
  const body = `${leave("61.25", "trap '' TERM;")}\n${measured}`;
  await expect(run(body)).rejects.toThrow("it left processes over: sleep 61.25");
  await expectNothingLeft("sleep 61.25");
});

test("an interrupted part ends at once, with all its processes", async () => {
  const interruption = new AbortController();
  const mark = join(folder, "started");
  const body = `${leave("62.25")}\nawait Bun.write("${mark}", "");\nawait Bun.sleep(60_000);`;
  const end = run(body, interruption.signal);
  while ((await readFile(mark).catch(() => undefined)) === undefined) await Bun.sleep(5);
  interruption.abort(new Error("interrupted by SIGINT"));
  await expect(end).rejects.toThrow("interrupted by SIGINT");
  await expectNothingLeft("sleep 62.25");
});
