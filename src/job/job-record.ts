// Keeps the state file of a job up to date (see state-file.ts for what it is for). Its failures are logged and end
// nothing.
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import type { LivePlace } from "../results/live-view.ts";
import type { Progress } from "../results/progress.ts";
import type { WebUi } from "../webui/web-ui.ts";
import type { Job } from "./job.ts";
import { type JobState, removeJobState, writeJobState } from "./state-file.ts";
import type { Ending } from "./stop-reason.ts";

export function newJobState(job: Job, webUi: WebUi, now = Date.now()): JobState {
  return {
    format: 1,
    // As a number: what statuses repeat is what the server sent.
    job: { ...job.received, id: Number(job.id) },
    host: webUi.host.name,
    workerId: webUi.workerId ?? 0,
    phase: "setup",
    acceptedAt: now,
  };
}

export class JobRecord {
  private saving: Promise<void> | undefined;
  private isSaved = true;
  private isRemoved = false;

  /** `directory`: the pool, or an entry of the spool. */
  constructor(
    readonly directory: string,
    public state: JobState,
    private readonly log: Logger,
  ) {}

  save(phase: JobState["phase"]): Promise<void> {
    return this.write({ phase });
  }

  /** isotovideo runs. */
  started(run: NonNullable<JobState["run"]>): Promise<void> {
    return this.write({ phase: "running", run });
  }

  ending(ending: Ending): Promise<void> {
    return this.write({ phase: "ending", ending });
  }

  /** What the server has been told of the results so far. */
  reported(reported: Progress): Promise<void> {
    return this.write({ reported });
  }

  /** To viewers. */
  shown(shown: LivePlace): Promise<void> {
    return this.write({ shown });
  }

  developerCame(): Promise<void> {
    return this.write({ hasDeveloper: true });
  }

  delivered(what: string): Promise<void> {
    return this.write({ delivered: [...(this.state.delivered ?? []), what] });
  }

  isDelivered(what: string): boolean {
    return this.state.delivered?.includes(what) ?? false;
  }

  /** Nothing is left to be done for the job. What is told later is not recorded any more: it would count as a job left. */
  async remove(): Promise<void> {
    this.isRemoved = true;
    await this.saving;
    await removeJobState(this.directory).catch((error) =>
      this.log.error(
        `Unable to remove the state of the job, which the next start looks at: ${errorText(error)}`,
      ),
    );
  }

  /** Resolves when the state is in the file, or could not be written. */
  private write(changes: Partial<JobState>): Promise<void> {
    if (this.isRemoved) return Promise.resolve();
    this.state = { ...this.state, ...changes };
    this.isSaved = false;
    this.saving ??= this.saveLatest();
    return this.saving;
  }

  /** What has changed while it was being written goes with one more write, however often it was. */
  private async saveLatest(): Promise<void> {
    while (!this.isSaved && !this.isRemoved) {
      this.isSaved = true;
      await writeJobState(this.directory, this.state).catch((error) =>
        this.log.warn(`Unable to keep the state of the job: ${errorText(error)}`),
      );
    }
    // At once: whatever is told from here on starts anew.
    this.saving = undefined;
  }
}
