// Jobs of the tiny test distribution: installing it, posting them, waiting for their end, reading what they left.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { run } from "./processes.ts";
import type { OpenqaServer } from "./server.ts";
import { until } from "./until.ts";

const rescueCd = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso";
const jobLimitMs = 150_000;

/** Copies the test distribution and its ISO into the server's share directory. */
export async function installDistribution(server: OpenqaServer): Promise<void> {
  const share = join(server.projectFolder, "share");
  await run(["cp", "-r", fileURLToPath(new URL("casedir", import.meta.url)), join(share, "tests/tinygrub")]);
  await run(["cp", rescueCd, join(share, "factory/iso/")]);
  await run(["chmod", "-R", "go+rX", join(share, "tests/tinygrub"), join(share, "factory/iso")]);
}

/** Puts a file of random bytes among the server's assets. `asset`: "TYPE/NAME". */
export async function makeAsset(server: OpenqaServer, asset: string, bytes: number): Promise<string> {
  const path = join(server.projectFolder, "share/factory", asset);
  await run(["sh", "-c", 'head -c "$1" /dev/urandom >"$2" && chmod 644 "$2"', "sh", String(bytes), path]);
  return path;
}

const testsWithoutVm = ["quick", "quick_fail", "rest", "nap", "logs"];

/** Settings of a job that is to be run by a worker of that class. */
export function jobSettings(test: string, workerClass: string): Record<string, string> {
  const withoutVm = testsWithoutVm.includes(test);
  return {
    DISTRI: "tinygrub",
    VERSION: "1",
    FLAVOR: "cd",
    ARCH: "x86_64",
    MACHINE: "64bit",
    BUILD: workerClass,
    TEST: test,
    WORKER_CLASS: workerClass,
    BACKEND: withoutVm ? "null" : "qemu",
    ...(withoutVm ? { NOVIDEO: "1" } : { ISO: "grub-rescue-cdrom.iso" }),
    QEMU_NO_KVM: "1",
    QEMUCPUS: "1",
    QEMURAM: "64",
    QEMUVGA: "std",
    ...(test === "pass"
      ? { HDDSIZEGB: "1", NUMDISKS: "1", PUBLISH_HDD_1: publishedDisk(workerClass), BOOTFROM: "cdrom" }
      : {}),
  };
}

function publishedDisk(build: string): string {
  return `tinygrub-${build}.qcow2`;
}

const postAnswer = z.object({ id: z.number() });
const jobAnswer = z.object({
  job: z.object({
    id: z.number(),
    test: z.string(),
    state: z.string(),
    result: z.string(),
    reason: z.string().nullish(),
    clone_id: z.number().nullish(),
    assigned_worker_id: z.number().nullish(),
    settings: z.record(z.string(), z.string()),
  }),
});
const step = z.object({
  title: z.string().nullish(),
  result: z.string(),
  needle: z.string().nullish(),
  tags: z.array(z.string()).nullish(),
  screenshot: z.string().nullish(),
  md5_dirname: z.string().nullish(),
  md5_basename: z.string().nullish(),
  text: z.string().nullish(),
  text_data: z.string().nullish(),
});
const detailsAnswer = z.object({
  job: jobAnswer.shape.job.extend({
    testresults: z.array(
      z.object({
        name: z.string(),
        category: z.string().nullish(),
        result: z.string(),
        details: z.array(step),
      }),
    ),
    logs: z.array(z.string()),
    ulogs: z.array(z.string()),
    assets: z.record(z.string(), z.array(z.string())).nullish(),
  }),
});

export type JobState = z.infer<typeof jobAnswer>["job"];

export interface Step {
  readonly title: string;
  readonly result: string;
  readonly needle: string | undefined;
  readonly tags: readonly string[];
  /** File name of the picture and the md5 that the server knows it by. */
  readonly picture: { readonly name: string; readonly md5: string; readonly path: string } | undefined;
  readonly text: { readonly name: string; readonly content: string } | undefined;
}

/** All that a job left on the server. */
export interface JobReport {
  readonly id: number;
  readonly build: string;
  readonly test: string;
  readonly state: string;
  readonly result: string;
  readonly reason: string | undefined;
  readonly cloneId: number | undefined;
  readonly workerId: number | undefined;
  readonly modules: readonly {
    readonly name: string;
    readonly category: string;
    readonly result: string;
    readonly steps: readonly Step[];
  }[];
  readonly logs: readonly string[];
  readonly ulogs: readonly string[];
  /** "TYPE/NAME". */
  readonly assets: readonly string[];
  /** Paths of the files in the job's result folder on the server, but those of text steps: it may merge them. */
  readonly files: readonly string[];
}

/** Returns the job's id. */
export async function postJob(
  server: OpenqaServer,
  settings: Readonly<Record<string, string>>,
): Promise<number> {
  return postAnswer.parse(await server.api.post("jobs", settings)).id;
}

const chainAnswer = z.object({ ids: z.record(z.string(), z.number()) });

/** Posts jobs of which each is to run directly after the one before, on the same worker. Returns their ids in that order. */
export async function postChain(
  server: OpenqaServer,
  tests: readonly string[],
  settings: Readonly<Record<string, string>>,
): Promise<number[]> {
  const { TEST: _, ...common } = settings;
  const each = tests.flatMap((test, index) => [
    [`TEST:${index}`, test],
    ...(index === 0 ? [] : [[`_START_DIRECTLY_AFTER:${index}`, String(index - 1)]]),
  ]);
  const { ids } = chainAnswer.parse(
    await server.api.post("jobs", { ...common, ...Object.fromEntries(each) }),
  );
  return tests.map((_, index) => ids[index] ?? 0);
}

export async function jobState(server: OpenqaServer, id: number): Promise<JobState> {
  return jobAnswer.parse(await server.api.get(`jobs/${id}`)).job;
}

/**
 * Waits until the worker is through with a job. The state `cancelled` comes before the uploads: such a job is over
 * when no worker has it any more.
 */
export async function waitForEnd(server: OpenqaServer, id: number): Promise<void> {
  await until(`job ${id} is over`, jobLimitMs, async () => {
    const { state } = await jobState(server, id);
    if (state === "done") return true;
    return state === "cancelled" && (await server.api.workers()).every((worker) => worker.jobId !== id);
  });
}

/**
 * Waits until a module runs as far as the server knows. A worker tells results only of modules that it has seen
 * running, so a short first one may have none before the end.
 */
export async function waitUntilRuns(server: OpenqaServer, id: number, module: string): Promise<void> {
  await until(`module ${module} of job ${id} runs`, jobLimitMs, async () => {
    const { state, testresults } = await details(server, id);
    if (state === "done") throw new Error(`job ${id} ended before ${module} ran`);
    return testresults.some(({ name, result }) => name === module && result === "running");
  });
}

async function details(server: OpenqaServer, id: number) {
  return detailsAnswer.parse(await server.api.get(`jobs/${id}/details`)).job;
}

export async function readJob(server: OpenqaServer, id: number): Promise<JobReport> {
  const job = await details(server, id);
  const texts = new Set(job.testresults.flatMap((module) => module.details.map(({ text }) => text)));
  return {
    id,
    build: job.settings["BUILD"] ?? "",
    test: job.test,
    state: job.state,
    result: job.result,
    reason: job.reason ?? undefined,
    cloneId: job.clone_id ?? undefined,
    workerId: job.assigned_worker_id ?? undefined,
    modules: job.testresults.map((module) => ({
      name: module.name,
      category: module.category ?? "",
      result: module.result,
      steps: module.details.map(readStep),
    })),
    logs: job.logs.toSorted(),
    ulogs: job.ulogs.toSorted(),
    assets: Object.entries(job.assets ?? {})
      .flatMap(([type, names]) => names.map((name) => `${type}/${name}`))
      .toSorted(),
    files: (await resultFiles(server, id)).filter((name) => !texts.has(name)),
  };
}

function readStep(found: z.infer<typeof step>): Step {
  const { screenshot, md5_dirname: folder, md5_basename: name, text, text_data: content } = found;
  const isPicture = screenshot != null && folder != null && name != null;
  return {
    title: found.title ?? "",
    result: found.result,
    needle: found.needle ?? undefined,
    tags: found.tags ?? [],
    picture: isPicture
      ? {
          name: screenshot,
          md5: `${folder}${name}`.replace(/\/|\.png$/g, ""),
          path: `/image/${folder}/${name}`,
        }
      : undefined,
    text: text == null ? undefined : { name: text, content: content ?? "" },
  };
}

/** What the server names a file until it is complete: gru rewrites the details of modules once a job is over. */
const temporaryName = /^\w{10}$/;

async function resultFiles(server: OpenqaServer, id: number): Promise<string[]> {
  const padded = String(id).padStart(8, "0");
  const group = join(server.projectFolder, "testresults", padded.slice(0, 5));
  const folder = (await readdir(group).catch(() => [])).find((name) => name.startsWith(`${padded}-`));
  if (folder === undefined) return [];
  const entries = await readdir(join(group, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && !temporaryName.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(join(group, folder).length + 1))
    .toSorted();
}
