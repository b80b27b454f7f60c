// The figures of all parts in one JSON file; a later run replaces the parts that it has measured and keeps the others.
import { readFile, rename, writeFile } from "node:fs/promises";
import { z } from "zod";
import { UsageError } from "../../src/errors.ts";

const samples = z.array(z.number()).min(1);

export const measurementsSchema = z.array(
  z.object({
    name: z.string(),
    unit: z.enum(["ms", "s", "MB", "ratio"]),
    sides: z.record(z.string(), samples),
    aim: z.object({ ratio: z.number().positive(), to: z.string() }).exactOptional(),
    remark: z.string().exactOptional(),
  }),
);
/** A `Measurement` that has been in a file. */
export type Measured = z.infer<typeof measurementsSchema>[number];

export const surroundingsSchema = z.object({
  machine: z.object({
    cpu: z.string(),
    cores: z.number(),
    memoryMb: z.number(),
    kernel: z.string(),
  }),
  /** By program or package. */
  versions: z.record(z.string(), z.string()),
  /** Of the minute before the benchmark: figures of a busy machine are noisy. */
  loadAverage: z.number(),
});
export type Surroundings = z.infer<typeof surroundingsSchema>;

const partFigures = surroundingsSchema.extend({
  title: z.string(),
  /** ISO 8601, when it began. */
  date: z.string(),
  seconds: z.number(),
  measurements: measurementsSchema,
});
export type PartFigures = z.infer<typeof partFigures>;

const figuresSchema = z.object({ parts: z.record(z.string(), partFigures) });
export type Figures = z.infer<typeof figuresSchema>;

/** What a file holds so far; nothing when it is not there. Throws `UsageError` when it is something else. */
export async function readFigures(path: string): Promise<Figures> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new UsageError(`cannot read ${path}: ${error.message}`, { cause: error });
  });
  return text === undefined ? { parts: {} } : parseFigures(text, path);
}

/** `path`: for the message of the `UsageError`. */
export function parseFigures(text: string, path: string): Figures {
  try {
    return figuresSchema.parse(JSON.parse(text));
  } catch (error) {
    const what = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new UsageError(
      `${path} holds no figures of this benchmark; name another file or remove it: ${what}`,
      {
        cause: error,
      },
    );
  }
}

/** Figures with those of a part in place of its older ones. `order`: of all parts, for those who read the figures. */
export function withPart(
  figures: Figures,
  name: string,
  part: PartFigures,
  order: readonly string[],
): Figures {
  const parts = Object.entries({ ...figures.parts, [name]: part });
  parts.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  return { parts: Object.fromEntries(parts) };
}

export async function writeFigures(path: string, figures: Figures): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(figures, undefined, 1)}\n`);
  await rename(`${path}.new`, path);
}
