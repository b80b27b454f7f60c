// The spool of a slot: what the ends of jobs need whose web UI is away, outside the pool, so that the slot is free. An
// entry is laid out like a pool directory; its job.json commits it. Nobody but the slot that holds the pool's lock may
// use it. What is delivered, and when, is none of its business.
import { access, constants } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Context } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { type JobState, readJobState } from "../state-file.ts";
import { isThere, namesIn } from "./folder-content.ts";
import { noteFile } from "./refused-entries.ts";
import type { RefusedLimits } from "./refused-limits.ts";
import { type SpoolDisk, spoolDisk } from "./spool-disk.ts";
import { SpoolError } from "./spool-error.ts";
import { type SpoolFolders, spoolFolders } from "./spool-folders.ts";
import { byAcceptance, entryName, isEntryName } from "./spooled-names.ts";
import { type EndedPool, takePool } from "./take-pool.ts";
import { tidySpool } from "./tidy-spool.ts";

export interface SpoolEntry {
  /** To be used like a pool directory. */
  readonly directory: string;
  readonly state: JobState;
}

/** Of those that wait; further ones are listed when these are delivered. */
const maxListed = 1000;

export class Spool {
  private readonly folders: SpoolFolders;
  /** Entries that cannot be delivered and that the log has named. */
  private named = new Set<string>();

  /** `directory`: STATE/spool/INSTANCE. */
  constructor(
    private readonly directory: string,
    private readonly limits: RefusedLimits,
    private readonly disk: SpoolDisk = spoolDisk,
    private readonly now: () => number = Date.now,
  ) {
    this.folders = spoolFolders(directory);
  }

  /** Why nothing could wait here, to be known before anything has to; undefined: it could. Never throws. */
  async findProblem(): Promise<string | undefined> {
    const { waiting } = this.folders;
    try {
      await this.disk.makeFolder(waiting);
      await access(waiting, constants.W_OK | constants.X_OK);
      return undefined;
    } catch (error) {
      return new SpoolError("Results cannot wait for a web UI that is away", this.directory, error).message;
    }
  }

  /**
   * Entries that wait for delivery, that of the job that was accepted first first. What was never finished is not among
   * them and is logged once. Never throws.
   */
  async waiting({ log }: Context): Promise<readonly SpoolEntry[]> {
    const names = await namesIn(this.folders.waiting).catch((error) => {
      log.error(`Cannot look for results that wait for delivery: ${errorText(error)}`);
      return [];
    });
    const entries: SpoolEntry[] = [];
    const unfinished = new Set<string>();
    for (const name of names.sort(byAcceptance)) {
      if (entries.length === maxListed) break;
      const directory = join(this.folders.waiting, name);
      const state = isEntryName(name) ? await readJobState(directory) : undefined;
      if (state) entries.push({ directory, state });
      else unfinished.add(directory);
    }
    for (const directory of unfinished)
      if (!this.named.has(directory))
        log.warn(`${directory} is not delivered: it has no job.json that can be used`);
    this.named = unfinished;
    return entries;
  }

  /**
   * Moves what the end of a job needs out of the pool; its job.json there goes last. To be repeated after a crash or an
   * error: it goes on with what was begun. Throws `SpoolError`, or the signal's reason.
   */
  async take(pool: EndedPool, context: Context): Promise<SpoolEntry> {
    const directory = join(this.folders.waiting, entryName(pool.state));
    try {
      return { directory, state: await takePool(this.disk, pool, directory, context) };
    } catch (error) {
      context.signal.throwIfAborted();
      throw new SpoolError(`Cannot keep the results of job ${pool.state.job.id}`, this.directory, error);
    }
  }

  /** Delivered. At no moment it looks like one that waits and has lost something. Throws `SpoolError`. */
  async remove(entry: SpoolEntry, { log }: Context): Promise<void> {
    const { removed } = this.folders;
    await this.moveTo(removed, entry, "remove the delivered results");
    await this.disk
      .removeEntries(removed, [basename(entry.directory)])
      .catch((error) => log.warn(`Cannot remove ${removed}: ${errorText(error)}`));
  }

  /**
   * Refused for good. Returns where it is kept, undefined when the limits do not allow that. Moved back to where it was
   * it is delivered again. Throws `SpoolError`.
   */
  async refuse(entry: SpoolEntry, why: string, context: Context): Promise<string | undefined> {
    const { host, job } = entry.state;
    const note = join(entry.directory, noteFile);
    await this.disk
      .writeNote(note, `${host} does not take the results of job ${job.id}: ${why}\n`, this.now())
      .catch((error) => context.log.warn(`Cannot write ${note}: ${errorText(error)}`));
    await this.moveTo(this.folders.refused, entry, "put aside the refused results");
    await this.tidy(context);
    const path = join(this.folders.refused, basename(entry.directory));
    return (await isThere(path)) ? path : undefined;
  }

  /**
   * Removes refused entries that the limits do not allow, and what was never finished or not removed completely. A job
   * that the pool still holds is to be taken before. Never throws.
   */
  async tidy(context: Context): Promise<void> {
    await tidySpool(this.disk, this.folders, this.limits, this.now(), context);
  }

  /** Its place among those that wait is free at once, also after a power cut. */
  private async moveTo(folder: string, { directory, state }: SpoolEntry, what: string): Promise<void> {
    const { disk, folders } = this;
    const name = basename(directory);
    try {
      if (!(await isThere(directory))) return;
      await disk.makeFolder(folder);
      await disk.removeEntries(folder, [name]);
      await disk.rename(directory, join(folder, name));
      await disk.flushFolder(folder);
      await disk.flushFolder(folders.waiting);
    } catch (error) {
      throw new SpoolError(`Cannot ${what} of job ${state.job.id}`, this.directory, error);
    }
  }
}
