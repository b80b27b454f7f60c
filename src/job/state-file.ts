// What a later start of the worker needs to know about the job in the pool, should this one die: kept in a dot folder,
// which cleaning spares. A lost or corrupt file never stops anything.
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { stateFolder } from "../isotovideo/pool-state.ts";

const fileName = "job.json";

const schema = z.object({
  format: z.literal(1),
  /** The job as it was received, with its token. */
  job: z.looseObject({ id: z.union([z.string(), z.number()]) }),
  /** Entry of HOST. */
  host: z.string(),
  workerId: z.number(),
  phase: z.enum(["setup", "running", "uploading"]),
  /** Milliseconds since the epoch. */
  acceptedAt: z.number(),
  startedAt: z.number().optional(),
  /** What the server has been told so far. */
  reported: z.unknown().optional(),
});
export type JobState = z.infer<typeof schema>;

/** Replaces the state by rename, so that a reader sees the old or the new one. */
export async function writeJobState(poolDirectory: string, state: JobState): Promise<void> {
  const folder = join(poolDirectory, stateFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = join(folder, `${fileName}.new`);
  await writeFile(temporary, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  await rename(temporary, join(folder, fileName));
}

/** Undefined when there is none or it cannot be used. */
export async function readJobState(poolDirectory: string): Promise<JobState | undefined> {
  try {
    const text = await readFile(join(poolDirectory, stateFolder, fileName), "utf8");
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export async function removeJobState(poolDirectory: string): Promise<void> {
  await rm(join(poolDirectory, stateFolder), { recursive: true, force: true });
}
