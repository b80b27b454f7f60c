// What a supervisor tells on its stdout, and the same in files for a later worker, with its schemas. A supervisor may
// be older or newer than the worker: keys that are not known do not matter, another format cannot be understood.
import { z } from "zod";
import { readInside } from "../results/pool-file.ts";
import { exitFile, stateFolder, supervisorFile } from "./pool-state.ts";

const identity = { pid: z.int().positive(), startTicks: z.string() };

export const supervisorSchema = z.object({
  format: z.literal(1),
  ...identity,
  isotovideo: z.object(identity),
});
export type Supervisor = z.infer<typeof supervisorSchema>;

export const exitSchema = z.object({
  format: z.literal(1),
  /** Exit status of isotovideo, or the signal that ended it. */
  code: z.int().optional(),
  signal: z.string().optional(),
  /** Milliseconds since the epoch. */
  endedAt: z.number(),
  /** "NAME (PID)" of what was still alive when isotovideo had ended. */
  swept: z.array(z.string()),
  /** Of what even KILL did not end. */
  left: z.array(z.string()),
});
export type Exit = z.infer<typeof exitSchema>;

const reportSchema = z.union([
  z.object({ started: supervisorSchema }),
  z.object({ ended: exitSchema }),
  z.object({ failed: z.string() }),
]);
export type SupervisorReport = z.infer<typeof reportSchema>;

/** Of a file; and of what is told, which is two lines. */
const maxReportBytes = 256 * 1024;

/** The reports as they arrive, until the supervisor is gone. Throws for anything else. */
export async function* readReports(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<SupervisorReport, void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxReportBytes) throw new Error("The supervisor tells too much");
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) yield reportSchema.parse(JSON.parse(line));
  }
}

/** Undefined when there is none; throws when it cannot be used. */
export async function readSupervisor(poolDirectory: string): Promise<Supervisor | undefined> {
  return await readReport(poolDirectory, supervisorFile, supervisorSchema);
}

/** Undefined when there is none; throws when it cannot be used. */
export async function readExit(poolDirectory: string): Promise<Exit | undefined> {
  return await readReport(poolDirectory, exitFile, exitSchema);
}

async function readReport<T>(
  poolDirectory: string,
  name: string,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  const content = await readInside(poolDirectory, `${stateFolder}/${name}`, maxReportBytes);
  if (content === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(content.toString()));
  } catch (error) {
    throw new Error(`${stateFolder}/${name} is no report of format 1 of a supervisor`, { cause: error });
  }
}
