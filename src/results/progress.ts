// Which modules' results go into the next status post (protocol 7). Pure: reads no files, sends nothing.
import { z } from "zod";
import type { ModuleResult, TestModule } from "./state-files.ts";

/** What a web UI has been told of a job so far, as plain data: a later start goes on from it. */
export const progressSchema = z.object({
  /** Module that was running at the last post; empty: none. */
  currentModule: z.string(),
  /** Modules whose results were sent and are not read again before the end. */
  sentModules: z.array(z.string()),
  /** Version of the test order that was sent last. */
  orderVersion: z.string().optional(),
});
export type Progress = z.infer<typeof progressSchema>;

export const nothingReported: Progress = { currentModule: "", sentModules: [] };

/** What the pool says in one round. */
export interface Seen {
  readonly order: readonly TestModule[];
  readonly orderVersion: string | undefined;
  readonly currentModule: string;
  readonly isPaused: boolean;
  /** The last post of a job: all that there is, nothing running. */
  readonly isLast: boolean;
}

/** Test order and results of one status post, and what is reported once the server has taken it. */
export interface Report {
  readonly testOrder: readonly TestModule[] | undefined;
  readonly results: ReadonlyMap<string, ModuleResult>;
  readonly progress: Progress;
  /**
   * Last module of the order whose results are in it, also when it is still running; undefined: none. A module that is
   * paused before its first step has no results yet, and yet all there is of it is sent.
   */
  readonly sentUpTo: string | undefined;
}

/** Modules whose result files have to be read for the next post, in order. */
export function modulesDue(progress: Progress, seen: Seen): string[] {
  const names = seen.order.map(({ name }) => name);
  if (seen.isLast) return names;
  const last = seen.isPaused ? seen.currentModule : finishedModule(progress, seen);
  return names.slice(0, names.indexOf(last) + 1).filter((name) => !progress.sentModules.includes(name));
}

/** The next post, given the readable results of the modules that are due and of their extra modules. */
export function nextReport(
  progress: Progress,
  seen: Seen,
  readable: ReadonlyMap<string, ModuleResult>,
): Report {
  const due = modulesDue(progress, seen);
  const sent = sendableModules(due, seen.isLast, readable);
  const extras = sent.flatMap((name) => readable.get(name)?.extra_test_results ?? []);
  const results = new Map<string, ModuleResult>();
  for (const name of [...sent, ...extras.map(({ name }) => name)]) {
    const result = readable.get(name);
    if (result) results.set(name, result);
  }
  const running = seen.isLast ? undefined : seen.order.find(({ name }) => name === seen.currentModule);
  if (running) results.set(running.name, { ...results.get(running.name), result: "running" });

  const isPausedAtStart = seen.isPaused && running?.name === due.at(-1) && running?.name === due[sent.length];
  const isOrderDue = seen.isLast || seen.orderVersion !== progress.orderVersion;
  const testOrder = [...(isOrderDue ? seen.order : []), ...extras];
  return {
    testOrder: isOrderDue || testOrder.length > 0 ? testOrder : undefined,
    results,
    progress: {
      currentModule: seen.currentModule,
      sentModules: [...new Set([...progress.sentModules, ...sent.filter((name) => name !== running?.name)])],
      ...(seen.orderVersion !== undefined && { orderVersion: seen.orderVersion }),
    },
    sentUpTo: isPausedAtStart ? running?.name : sent.at(-1),
  };
}

/** The module that has ended since the last post; the first one that is seen is only noted. */
function finishedModule({ currentModule: before }: Progress, { currentModule: now }: Seen): string {
  return before === now ? "" : before;
}

/** During the run the first module without a readable result ends the list: it may still come. */
function sendableModules(
  due: readonly string[],
  isLast: boolean,
  readable: ReadonlyMap<string, ModuleResult>,
): readonly string[] {
  if (isLast) return due.filter((name) => readable.has(name));
  const gap = due.findIndex((name) => !readable.has(name));
  return gap < 0 ? due : due.slice(0, gap);
}
