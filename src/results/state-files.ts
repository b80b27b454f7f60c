// What isotovideo leaves in the pool (protocol 4.6), read and checked. Files may be missing, half written, of wrong
// types or a trap: that is logged and taken as if they were empty. Keys that nobody here knows are kept.
import { setImmediate as otherTasks } from "node:timers/promises";
import { z } from "zod";
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import { isBareName, openInside, PoolFileError, readInside, readWhole } from "./pool-file.ts";

/** Where a job's state files are and what is read of them. */
export interface StateFolder {
  readonly poolDirectory: string;
  /** Files above this count as unreadable. */
  readonly maxFileBytes: number;
}

export interface AutoinstStatus {
  /** "initial", "running", "finished"; empty when unknown. */
  readonly status: string;
  /** Name of the running module; empty between modules and at the end. */
  readonly currentModule: string;
  /** As isotovideo wrote it: 0 or why it is paused. */
  readonly testExecutionPaused: unknown;
}

// The server makes file names of these.
const bareName = z.string().refine(isBareName, "expected a bare file name");

// What a server refuses to read must not reach it: a refused status post ends the job.
const testModuleSchema = z.looseObject({
  name: bareName,
  category: z.string().min(1),
  script: z.string().min(1),
  flags: z.record(z.string(), z.unknown()).nullish(),
});
/** A module of the test order with all that the server demands. */
export type TestModule = z.infer<typeof testModuleSchema>;

const stepFile = z.union([z.literal(""), bareName]).nullish();
const stepSchema = z.looseObject({
  screenshot: stepFile,
  text: stepFile,
  audio: stepFile,
  needles: z.array(z.looseObject({})).nullish(),
});
/** One detail of a module; files are bare names in `testresults`. */
export type Step = z.infer<typeof stepSchema>;

const moduleResultSchema = z.looseObject({
  result: z.string().nullish(),
  dents: z.number().nullish(),
  details: z.array(z.unknown()).nullish(),
  extra_test_results: z.array(z.unknown()).nullish(),
});

/** A result file; steps and extra modules that a server could not read are left out. */
export interface ModuleResult {
  readonly [key: string]: unknown;
  readonly result?: string | null | undefined;
  readonly details?: readonly Step[];
  readonly extra_test_results?: readonly TestModule[];
}

/** The test order with what tells one version of the file from another. */
export interface TestOrder {
  readonly version: string;
  readonly modules: readonly TestModule[];
}

/** `base_state.json`: why something broke (protocol 8.3). */
export type BaseState =
  | { readonly kind: "absent" }
  | { readonly kind: "corrupt" }
  | { readonly kind: "object"; readonly component?: string; readonly msg?: string; readonly result?: string };

/** Entries of a list; then whatever else waits for the event loop has its turn. */
const checkedAtOnce = 1000;

const text = z.string().optional().catch(undefined);

export async function readAutoinstStatus(folder: StateFolder, log: Logger): Promise<AutoinstStatus> {
  const schema = z.object({ status: text, current_test: text, test_execution_paused: z.unknown() });
  const found = await readObject(folder, "autoinst-status.json", schema, log);
  return {
    status: found?.status ?? "",
    currentModule: found?.current_test ?? "",
    testExecutionPaused: found?.test_execution_paused ?? 0,
  };
}

/** The test order; `known` itself when the file has not changed since, or cannot be read any more. */
export async function readTestOrder(
  folder: StateFolder,
  known: TestOrder | undefined,
  log: Logger,
): Promise<TestOrder | undefined> {
  const name = "testresults/test_order.json";
  try {
    await using file = await openInside(folder.poolDirectory, name);
    if (file === undefined || file.version === known?.version) return known;
    const values = z
      .array(z.unknown())
      .parse(JSON.parse((await readWhole(file, name, folder.maxFileBytes)).toString()));
    return { version: file.version, modules: await validOnes(testModuleSchema, values, name, log) };
  } catch (error) {
    log.warn(`Ignoring ${name}: ${whatIsWrong(error)}`);
    return known;
  }
}

/** `testresults/result-MODULE.json`; undefined when there is none that can be read. */
export async function readModuleResult(
  folder: StateFolder,
  moduleName: string,
  log: Logger,
): Promise<ModuleResult | undefined> {
  const name = `testresults/result-${moduleName}.json`;
  const found = await readObject(folder, name, moduleResultSchema, log);
  if (found === undefined) return undefined;
  const { details, extra_test_results: extra, ...others } = found;
  return {
    ...others,
    ...(details && { details: await validOnes(stepSchema, details, `details of ${name}`, log) }),
    ...(extra && {
      extra_test_results: await validOnes(testModuleSchema, extra, `extra_test_results of ${name}`, log),
    }),
  };
}

export async function readBaseState(folder: StateFolder, log: Logger): Promise<BaseState> {
  const name = "base_state.json";
  try {
    const bytes = await readInside(folder.poolDirectory, name, folder.maxFileBytes);
    if (bytes === undefined) return { kind: "absent" };
    const schema = z.object({ component: text, msg: text, result: text });
    const { component, msg, result } = schema.parse(JSON.parse(bytes.toString()));
    return {
      kind: "object",
      ...(component !== undefined && { component }),
      ...(msg !== undefined && { msg }),
      ...(result !== undefined && { result }),
    };
  } catch (error) {
    log.warn(`Found ${name} but it is corrupt: ${whatIsWrong(error)}`);
    return { kind: "corrupt" };
  }
}

async function readObject<T>(
  { poolDirectory, maxFileBytes }: StateFolder,
  name: string,
  schema: z.ZodType<T>,
  log: Logger,
): Promise<T | undefined> {
  try {
    const bytes = await readInside(poolDirectory, name, maxFileBytes);
    return bytes && schema.parse(JSON.parse(bytes.toString()));
  } catch (error) {
    log.warn(`Ignoring ${name}: ${whatIsWrong(error)}`);
    return undefined;
  }
}

async function validOnes<T>(
  schema: z.ZodType<T>,
  values: readonly unknown[],
  where: string,
  log: Logger,
): Promise<T[]> {
  const parsed: z.ZodSafeParseResult<T>[] = [];
  for (const value of values) {
    if (parsed.length % checkedAtOnce === checkedAtOnce - 1) await otherTasks();
    parsed.push(schema.safeParse(value));
  }
  const wrong = parsed.flatMap(({ error }, index) => (error ? [`${index + 1} (${whatIsWrong(error)})`] : []));
  if (wrong.length > 0)
    log.warn(`Ignoring ${wrong.length} of ${values.length} entries in ${where}: entry ${wrong[0]}`);
  return parsed.flatMap(({ success, data }) => (success ? [data] : []));
}

function whatIsWrong(error: unknown): string {
  if (error instanceof PoolFileError) return error.message;
  if (!(error instanceof z.ZodError)) return errorText(error);
  return error.issues
    .map(({ path, message }) => `${path.join(".")}: ${message}`.replace(/^: /, ""))
    .join("; ");
}
