// The body of a status post and the files that belong to its results (protocol 7). Nothing is sent here.
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { openInside, readAt } from "./pool-file.ts";
import type { Report } from "./progress.ts";
import type { ModuleResult, Step } from "./state-files.ts";

/** Fields that every post of a job carries: the server forgets what a post leaves out. */
export interface FixedStatus {
  readonly worker_id: number;
  /** URL of isotovideo's command server. */
  readonly cmd_srv_url: string;
  readonly worker_hostname: string;
}

/** A file in `testresults` that may have to go up. A picture's md5 is its identity on the server. */
export type ResultFile =
  | { readonly kind: "picture"; readonly name: string; readonly md5: string }
  | { readonly kind: "file"; readonly name: string };

export interface StatusReport {
  /** The object below "status". */
  readonly status: Readonly<Record<string, unknown>>;
  /** Pictures, one per md5, then texts and audio. */
  readonly files: readonly ResultFile[];
}

/** Makes the body of a post from a report. */
export async function statusReport(
  fixed: FixedStatus,
  testExecutionPaused: unknown,
  { testOrder, results }: Report,
  pictures: PictureSums,
  context: Context,
): Promise<StatusReport> {
  const found = new Map<string, ResultFile>();
  const sent: [string, unknown][] = [];
  for (const [name, result] of results) sent.push([name, await sendable(result, pictures, found, context)]);
  const status = {
    ...fixed,
    test_execution_paused: testExecutionPaused,
    ...(testOrder && { test_order: testOrder }),
    ...(sent.length > 0 && { result: Object.fromEntries(sent) }),
  };
  const files = [...found.values()];
  return { status, files: [...files.filter(isPicture), ...files.filter((file) => !isPicture(file))] };
}

/** MD5 sums of a job's pictures as isotovideo wrote them, each computed once. */
export class PictureSums {
  private readonly sums = new Map<string, string>();
  private readonly poolDirectory: string;

  constructor(poolDirectory: string) {
    this.poolDirectory = poolDirectory;
  }

  /** Sum of `testresults/NAME` in lower-case hex; undefined when there is no such picture. */
  async of(name: string, { signal, log }: Context): Promise<string | undefined> {
    const known = this.sums.get(name);
    if (known !== undefined) return known;
    try {
      await using file = await openInside(this.poolDirectory, `testresults/${name}`);
      if (file === undefined) return undefined;
      const hasher = new Bun.CryptoHasher("md5");
      for (let offset = 0; offset < file.sizeBytes; offset += pieceBytes) {
        signal.throwIfAborted();
        hasher.update(await readAt(file, offset, Math.min(pieceBytes, file.sizeBytes - offset)));
      }
      const sum = hasher.digest("hex");
      this.sums.set(name, sum);
      return sum;
    } catch (error) {
      signal.throwIfAborted();
      log.warn(`Ignoring picture ${name}: ${errorText(error)}`);
      return undefined;
    }
  }
}

const pieceBytes = 256 * 1024;

async function sendable(
  result: ModuleResult,
  pictures: PictureSums,
  found: Map<string, ResultFile>,
  context: Context,
): Promise<unknown> {
  if (!result.details) return result;
  const details: unknown[] = [];
  for (const step of result.details) details.push(await sendableStep(step, pictures, found, context));
  return { ...result, details };
}

async function sendableStep(
  step: Step,
  pictures: PictureSums,
  found: Map<string, ResultFile>,
  context: Context,
): Promise<unknown> {
  for (const name of [step.text, step.audio]) if (name) found.set(`file ${name}`, { kind: "file", name });
  const { screenshot: name } = step;
  if (!name) return step;
  const md5 = await pictures.of(name, context);
  if (md5 === undefined) return { ...step, screenshot: { name } };
  if (!found.has(md5)) found.set(md5, { kind: "picture", name, md5 });
  return { ...step, screenshot: { name, md5 } };
}

function isPicture(file: ResultFile): boolean {
  return file.kind === "picture";
}
