// Reads what isotovideo has left in the pool since the last look: its status, the test order, results that are due.
import type { Context } from "../context.ts";
import { modulesDue, type Progress, type Seen } from "./progress.ts";
import {
  type ModuleResult,
  readAutoinstStatus,
  readModuleResult,
  readTestOrder,
  type StateFolder,
  type TestOrder,
} from "./state-files.ts";

/** The pool at one moment. */
export interface Look extends Seen {
  /** As isotovideo wrote it: 0 or why it is paused. */
  readonly testExecutionPaused: unknown;
  /** Tests should be under way but there is no test order. */
  readonly hasNoTests: boolean;
}

export class ResultReader {
  private readonly folder: StateFolder;
  /** The last one that could be read. */
  private order: TestOrder | undefined;

  constructor(folder: StateFolder) {
    this.folder = folder;
  }

  /** `isLast`: for the last post of the job. */
  async look(isLast: boolean, { log }: Context): Promise<Look> {
    const { status, currentModule, testExecutionPaused } = await readAutoinstStatus(this.folder, log);
    const before = this.order;
    this.order = await readTestOrder(this.folder, before, log);
    if (before && this.order !== before) log.info("Test schedule has changed, reloading test_order.json");
    return {
      order: this.order?.modules ?? [],
      orderVersion: this.order?.version,
      currentModule,
      isPaused: Boolean(testExecutionPaused),
      isLast,
      testExecutionPaused,
      hasNoTests: !this.order && ["running", "finished"].includes(status),
    };
  }

  /** The results that the next post may carry, extra ones included, as far as they can be read. */
  async readResults(
    progress: Progress,
    seen: Seen,
    { signal, log }: Context,
  ): Promise<ReadonlyMap<string, ModuleResult>> {
    const results = new Map<string, ModuleResult>();
    const read = async (name: string) => {
      signal.throwIfAborted();
      const result = results.get(name) ?? (await readModuleResult(this.folder, name, log));
      if (result) results.set(name, result);
      return result;
    };
    for (const name of modulesDue(progress, seen))
      for (const extra of (await read(name))?.extra_test_results ?? []) await read(extra.name);
    return results;
  }
}
