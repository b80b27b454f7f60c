// The index as its worker thread has it: opened with the first call, opened again when another file has its place,
// repaired when it is damaged or missing.
import type { Context } from "../../context.ts";
import type { CacheFolder } from "../cache-folder.ts";
import { IndexDatabase } from "./index-database.ts";
import { faultOf, indexError } from "./index-faults.ts";
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
      for (let attempt = 1; ; attempt++) {
        try {
          return (await this.current()).perform(call);
        } catch (error) {
          if (faultOf(error) === undefined || attempt === maxAttempts) throw error;
          await this.recover(error, context);
        }
      }
    } catch (error) {
      context.signal.throwIfAborted();
      throw await indexError(this.folder.indexFile, this.waitMs, error);
    }
  }

  [Symbol.dispose](): void {
    this.database?.[Symbol.dispose]();
    this.database = undefined;
  }

  private async current(): Promise<IndexDatabase> {
    await this.database?.checkPlace();
    this.database ??= await IndexDatabase.open(this.folder.indexFile, this.waitMs);
    return this.database;
  }

  private async recover(error: unknown, context: Context): Promise<void> {
    this[Symbol.dispose]();
    if (faultOf(error) === "replaced") return;
    // Seldom needed: the thread is smaller without it.
    const { repairIndex } = await import("./repair.ts");
    this.database = await repairIndex(this.folder, this.waitMs, context);
  }
}
