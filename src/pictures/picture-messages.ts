// What the worker and its picture process say to each other: one JSON object a line, requests on stdin, answers on
// stdout in the order in which they are ready.
import { z } from "zod";

/** Optimise one PNG of a pool. */
export const pictureRequestSchema = z.object({
  /** Never used twice in a process. */
  id: z.number().int(),
  /** Absolute path of the pool directory. */
  pool: z.string(),
  /** Of the picture, below the pool directory. */
  name: z.string(),
  /** Where the smaller one goes, below the pool directory. Its folder is there, it is not. */
  copy: z.string(),
});
export type PictureRequest = z.infer<typeof pictureRequestSchema>;

export const pictureAnswerSchema = z.object({
  id: z.number().int(),
  /** Of the picture that was read: `PoolFile.version` and `PoolFile.inode`. Absent when it could not be opened. */
  version: z.string().optional(),
  inode: z.number().optional(),
  /** "smaller": `copy` is there, it has the same pixels. Otherwise there is none and the picture goes out as it is. */
  outcome: z.enum(["smaller", "kept"]),
  /** Of a "kept" one: why, for the log of whoever looks for it. */
  why: z.string().optional(),
  bytesBefore: z.number().int(),
  bytesAfter: z.number().int(),
});
export type PictureAnswer = z.infer<typeof pictureAnswerSchema>;
