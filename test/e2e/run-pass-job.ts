// Brings up a real openQA server with our worker, runs the main job on it, shows what came out and stops everything.
// Exits 0 when the job passed.
import { cp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installDistribution, type JobReport, postJob, readJob, waitForEnd } from "./jobs.ts";
import { pass, settingsOf } from "./scenarios.ts";
import { type OpenqaServer, startServer } from "./server.ts";
import { startOurWorker } from "./workers.ts";

const say = (text: string) => console.log(`[${new Date().toISOString().slice(11, 19)}] ${text}`);

say("building the worker, installing and starting openQA (the first time takes minutes)");
const server = await startServer();
try {
  process.exitCode = (await runPassJob(server)) ? 0 : 1;
} finally {
  await server.stop();
}

async function runPassJob(server: OpenqaServer): Promise<boolean> {
  await installDistribution(server);
  const worker = await startOurWorker(server, { instance: server.takeInstances(1), workerClass: "e2e" });
  try {
    say(`openQA is up at ${server.url}, the worker is connected`);
    const id = await postJob(server, settingsOf(pass, "e2e"));
    say(`job ${id} is posted: ${server.url}/tests/${id}`);
    await waitForEnd(server, id);
    const job = await readJob(server, id);
    print(job);
    say(`logs and results are kept in ${await keep(server)}`);
    return job.result === "passed";
  } finally {
    await worker.stop();
  }
}

function print(job: JobReport): void {
  for (const { name, result, steps } of job.modules) {
    console.log(`  ${name.padEnd(10)} ${result.padEnd(10)} ${steps.length} steps`);
  }
  console.log(`  logs   ${[...job.logs, ...job.ulogs].join(" ")}`);
  console.log(`  assets ${job.assets.join(" ")}`);
  say(`job ${job.id}: ${job.result}${job.reason === undefined ? "" : `, ${job.reason}`}`);
}

/** Copies logs and results to where they outlive the server: one folder for all runs, so that they do not pile up. */
async function keep(server: OpenqaServer): Promise<string> {
  const folder = join(tmpdir(), "openqa-worker-pass-job");
  await rm(folder, { recursive: true, force: true });
  await cp(server.logFolder, join(folder, "log"), { recursive: true });
  // The pictures in it are links into the server's store.
  await cp(join(server.projectFolder, "testresults"), join(folder, "testresults"), {
    recursive: true,
    dereference: true,
  });
  return folder;
}
