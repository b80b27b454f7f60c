// What a supervisor tells on its stdout, and the same in files for a later worker, with its schemas.
import { z } from "zod";

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

/** A supervisor tells two lines. */
const maxReportChars = 256 * 1024;

/** The reports as they arrive, until the supervisor is gone. Throws for anything else. */
export async function* readReports(stdout: ReadableStream<Uint8Array>): AsyncGenerator<SupervisorReport> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxReportChars) throw new Error("The supervisor tells too much");
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) yield reportSchema.parse(JSON.parse(line));
  }
}
