// What a later start of the worker needs to know about the job in a pool, or in the spool: kept in a dot folder, which
// cleaning spares. A lost or corrupt file never stops anything.
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { stateFolder } from "../isotovideo/pool-state.ts";
import { removeEntries } from "../ops/remove-entries.ts";
import { livePlaceSchema } from "../results/live-view.ts";
import { readInside } from "../results/pool-file.ts";
import { progressSchema } from "../results/progress.ts";
import { type Ending, stopReasons } from "./stop-reason.ts";

const fileName = "job.json";
const draftName = `${fileName}.new`;
/** A job that is as big as its message may be, and the names of what was delivered of it. */
const maxStateBytes = 64 * 1024 * 1024;

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
      /** Seconds since the system was booted: clocks are set right while jobs run, and no job survives a boot. */
      startedAtUptimeS: z.number(),
      /** Left out: no limit. */
      maxJobTimeMs: z.number().optional(),
      commandServerUrl: z.string(),
      workerHostname: z.string(),
    })
    .optional(),
  /** What the server has been told of the results. */
  reported: progressSchema.optional(),
  /** What viewers have been shown. */
  shown: livePlaceSchema.optional(),
  /** A developer has come: the server tells it once. */
  hasDeveloper: z.boolean().optional(),
  /** Why the job ends. */
  ending: endingSchema.optional(),
  /** What the server has got for good at the end of the job; each is sent once. */
  delivered: z.array(z.string()).optional(),
});
export type JobState = z.infer<typeof schema>;

/** Replaces the state by rename, so that a reader sees the old or the new one. */
export async function writeJobState(directory: string, state: JobState): Promise<void> {
  await draftJobState(directory, state);
  await commitJobState(directory);
}

/** What needs room on the disk. A job may have put something else there: a FIFO would keep the writer waiting for ever. */
export async function draftJobState(directory: string, state: JobState): Promise<void> {
  const folder = join(directory, stateFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, draftName);
  await rm(draft, { recursive: true, force: true });
  await writeFile(draft, `${JSON.stringify(state)}\n`, { mode: 0o600, flag: "wx" });
}

/** From now on the draft is the state. */
export async function commitJobState(directory: string): Promise<void> {
  const folder = join(directory, stateFolder);
  await rename(join(folder, draftName), join(folder, fileName));
}

/** Undefined when there is none or it cannot be used. */
export async function readJobState(directory: string): Promise<JobState | undefined> {
  try {
    const content = await readInside(directory, `${stateFolder}/${fileName}`, maxStateBytes);
    return content && schema.parse(JSON.parse(content.toString()));
  } catch {
    return undefined;
  }
}

export async function removeJobState(directory: string): Promise<void> {
  await removeEntries(directory, [stateFolder]);
}
