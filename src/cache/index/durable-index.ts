// The index as its worker thread has it: opened with the first call, opened again when another file has its place,
// repaired when it is damaged or missing.
import type { Context } from "../../context.ts";
import type { CacheFolder } from "../cache-folder.ts";
import { IndexDatabase } from "./index-database.ts";
import { type Fault, faultOf, indexError } from "./index-faults.ts";
import type { IndexCall, IndexRow } from "./thread-messages.ts";

/** A call may find the index replaced, and then damaged. */
const maxAttempts = 4;

export class DurableIndex implements Disposable {
  private database: IndexDatabase | undefined;

  constructor(
    private readonly folder: CacheFolder,
    private readonly waitMs: number,
  ) {}

  /** One call at a time. Throws `CacheError`, or the signal's reason while it is repairing. */
  async perform(call: IndexCall, context: Context): Promise<readonly IndexRow[]> {
    try {
      return await this.attempt(call, context);
    } catch (error) {
      context.signal.throwIfAborted();
      throw await indexError(this.folder.indexFile, this.waitMs, error);
    }
  }

  [Symbol.dispose](): void {
    this.database?.[Symbol.dispose]();
    this.database = undefined;
  }

  private async attempt(call: IndexCall, context: Context): Promise<readonly IndexRow[]> {
    let fault: Fault | undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        this.database ??= await this.open(fault, context);
        await this.database.checkPlace();
        return this.database.perform(call);
      } catch (error) {
        // Somebody who takes the files away while they are used can make SQLite fail in any way.
        fault = faultOf(error) ?? (await this.database?.checkPlace().then(() => undefined, faultOf));
        if (fault === undefined || attempt === maxAttempts) throw error;
        this[Symbol.dispose]();
      }
    }
  }

  private async open(fault: Fault | undefined, context: Context): Promise<IndexDatabase> {
    const { folder, waitMs } = this;
    if (fault === undefined || fault === "replaced")
      return await IndexDatabase.open(folder.indexFile, waitMs);
    // Seldom needed: the thread is smaller without it.
    const { repairIndex } = await import("./repair.ts");
    return await repairIndex(folder, waitMs, context);
  }
}
