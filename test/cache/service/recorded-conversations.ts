// Conversations of stock workers with the stock cache service, recorded; paths are below a folder of the test's.
import { z } from "zod";
import recordings from "../../fixtures/recorded/cache-service.json";

const callSchema = z.object({
  call: z.string(),
  status: z.number(),
  answer: z.record(z.string(), z.unknown()),
  body: z
    .object({ task: z.string(), args: z.array(z.union([z.string(), z.number()])), lock: z.string() })
    .optional(),
});

export type RecordedCall = z.output<typeof callSchema>;
export type RecordedName = keyof typeof recordings;

export const recordedNames = [
  "debian-2023/pass_cold",
  "debian-2023/pass_warm",
  "debian-2023/missing",
  "git-2026/pass_cold",
] as const satisfies readonly RecordedName[];

export function recordedCalls(name: RecordedName, folder: string): readonly RecordedCall[] {
  const text = JSON.stringify(recordings[name]).replaceAll("/var/lib/openqa", folder);
  return z.array(callSchema).parse(JSON.parse(text));
}

/** Bodies of its `POST /enqueue`, in order. */
export function enqueuedBodies(calls: readonly RecordedCall[]) {
  return calls.flatMap(({ body }) => (body ? [body] : []));
}
