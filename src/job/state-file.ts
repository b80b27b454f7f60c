// What a later start of the worker needs to know about the job in a pool, or in the spool: kept in a dot folder, which
// cleaning spares. A lost or corrupt file never stops anything.
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { stateFolder } from "../isotovideo/pool-state.ts";
import { progressSchema } from "../results/progress.ts";
import { type Ending, stopReasons } from "./stop-reason.ts";

const fileName = "job.json";

/**
 * How far a job has come: after "setup" isotovideo runs, "ending": it is being stopped, "delivering": nothing of the job
 * runs any more and the web UI is told, "spooling": what could not be told is being moved to the spool.
 */
export const recordedPhases = ["setup", "running", "ending", "delivering", "spooling"] as const;

const endingSchema = z.object({
  stopReason: z.enum(stopReasons),
  failure: z
    .object({ category: z.enum(["setup failure", "asset failure", "cache failure"]), message: z.string() })
    .optional(),
  apiError: z.string().optional(),
  uploadError: z.string().optional(),
  brokenBecause: z.string().optional(),
}) satisfies z.ZodType<Ending>;

const schema = z.object({
  format: z.literal(1),
  /** The job as it was received, with its token. */
  job: z.looseObject({ id: z.union([z.string(), z.number()]) }),
  /** Entry of HOST. */
  host: z.string(),
  workerId: z.number(),
  phase: z.enum(recordedPhases),
  /** Milliseconds since the epoch. */
  acceptedAt: z.number(),
  /** There since isotovideo was started. */
  run: z
    .object({
      startedAt: z.number(),
      /** Left out: no limit. */
      maxJobTimeMs: z.number().optional(),
      commandServerUrl: z.string(),
      workerHostname: z.string(),
    })
    .optional(),
  /** What the server has been told of the results. */
  reported: progressSchema.optional(),
  /** Why the job ends. */
  ending: endingSchema.optional(),
  /** What the server has got for good at the end of the job; each is sent once. */
  delivered: z.array(z.string()).optional(),
});
export type JobState = z.infer<typeof schema>;

/** Replaces the state by rename, so that a reader sees the old or the new one. */
export async function writeJobState(directory: string, state: JobState): Promise<void> {
  const folder = join(directory, stateFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = join(folder, `${fileName}.new`);
  await writeFile(temporary, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  await rename(temporary, join(folder, fileName));
}

/** Undefined when there is none or it cannot be used. */
export async function readJobState(directory: string): Promise<JobState | undefined> {
  try {
    const text = await readFile(join(directory, stateFolder, fileName), "utf8");
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export async function removeJobState(directory: string): Promise<void> {
  await rm(join(directory, stateFolder), { recursive: true, force: true });
}
