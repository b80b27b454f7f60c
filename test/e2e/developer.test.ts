// Developer mode as a browser has it, through the live view handler: pauses, what is uploaded meanwhile, going on.
import { afterAll, beforeAll, expect } from "bun:test";
import { z } from "zod";
import { Browser, type ConsoleMessage, type DeveloperConsole } from "./browser.ts";
import { differences } from "./compare.ts";
import { installDistribution, jobSettings, postJob, readJob, waitForEnd } from "./jobs.ts";
import { expectTidy, type Side, startPair } from "./pair.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { limitMs, serverTest } from "./server-test.ts";
import { untilQemuRuns, type Worker } from "./workers.ts";

let server: OpenqaServer;
let browser: Browser;

beforeAll(async () => {
  server = await startServer({ webUiProcesses: 6 });
  await installDistribution(server);
  browser = await Browser.logIn(server);
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

const pauseSchema = z.object({ reason: z.string(), test_execution_paused: z.string() }).partial();

/** The test has come to a pause: as an event, or found in the state by a console that comes later. */
const isPaused =
  (reason: RegExp) =>
  ({ data }: ConsoleMessage) => {
    const found = pauseSchema.safeParse(data).data;
    return reason.test(found?.reason ?? found?.test_execution_paused ?? "");
  };

/** What the worker tells when it has uploaded all up to a module that has not ended. */
const isUploadedUpTo = (module: string) => (message: ConsoleMessage) =>
  message.what === "upload progress" &&
  Bun.deepMatch(
    { upload_up_to: module, upload_up_to_current_module: 1, outstanding_images: 0, outstanding_files: 0 },
    message.data,
  );

/** Pauses a job at module `shell` and at the needles that it misses there, and lets it go on each time. */
async function develop(worker: Worker, id: number): Promise<void> {
  await untilQemuRuns(worker);
  const console = browser.openConsole(id);
  await console.next("paused at the first module", isPaused(/^reached module boot$/));
  await set(console, { cmd: "set_pause_at_test", name: "shell" });
  await set(console, { cmd: "set_pause_on_screen_mismatch", pause_on: "check_screen" });
  console.send({ cmd: "resume_test_execution" });
  await console.next("paused at the module", isPaused(/^reached module shell$/));
  await console.next("all before it is uploaded", isUploadedUpTo("shell"));
  const { boot } = await expectResults(id, { boot: "passed", shell: "running" });
  expect(boot).toBeGreaterThan(0);

  console.send({ cmd: "resume_test_execution" });
  await console.next("paused at a needle", isPaused(/timed out after 2 \(check_screen\)$/));
  await console.next("its steps are uploaded", isUploadedUpTo("shell"));
  const { shell } = await expectResults(id, { boot: "passed", shell: "running" });
  expect(shell).toBeGreaterThan(1);

  await set(console, { cmd: "set_pause_on_screen_mismatch", pause_on: null });
  console.send({ cmd: "resume_test_execution" });
  await waitForEnd(server, id);
  console.close();
  expect((await readJob(server, id)).result).toBe("passed");
}

/** isotovideo loses a command that comes before it has answered the one before. */
async function set(
  console: DeveloperConsole,
  command: { readonly cmd: string; readonly [key: string]: unknown },
) {
  console.send(command);
  await console.next(`${command.cmd} is done`, ({ data }) => Bun.deepEquals(data, { ret: 1 }));
}

/** Results of modules as the server shows them now, and how many pictures of each it has. */
async function expectResults(id: number, results: Readonly<Record<string, string>>) {
  const { modules } = await readJob(server, id);
  expect(Object.fromEntries(modules.map(({ name, result }) => [name, result]))).toEqual(results);
  const counts: Record<string, number> = {};
  for (const { name, steps } of modules) {
    const pictures = steps.flatMap(({ picture }) => picture ?? []);
    counts[name] = pictures.length;
    for (const { path } of pictures) {
      const png = Buffer.from(await server.api.download(path));
      expect(png.subarray(1, 4).toString()).toBe("PNG");
    }
  }
  return counts;
}

serverTest(
  "a developer pauses a job, sees what it has done until then, and lets it pass",
  () => server,
  async () => {
    const pair = await startPair(server, "developer", () => ({}));
    // Waits for the developer.
    const post = (side: Side) =>
      postJob(server, { ...jobSettings("look", `${side}-developer`), PAUSE_AT: "boot" });
    const ids = { stock: await post("stock"), ours: await post("ours") };
    await Promise.all([develop(pair.stock, ids.stock), develop(pair.ours, ids.ours)]);
    const [theirs, mine] = [await readJob(server, ids.stock), await readJob(server, ids.ours)];
    expect(differences(theirs, mine, "steps")).toEqual([]);
    await expectTidy(pair.ours);
  },
);
