// Keeps the state file of the running job up to date (see state-file.ts for what it is for). Its failures are logged
// once and end nothing.
import type { Settings } from "../config/settings.ts";
import { errorText } from "../errors.ts";
import type { Logger } from "../ops/log.ts";
import type { WebUi } from "../webui/web-ui.ts";
import type { Job } from "./job.ts";
import { type JobState, writeJobState } from "./state-file.ts";

interface RecordedJob {
  readonly job: Job;
  readonly webUi: WebUi;
  readonly settings: Settings;
}

export class JobRecord {
  private state: JobState;
  private saving: Promise<void> = Promise.resolve();

  constructor(
    private readonly input: RecordedJob,
    private readonly log: Logger,
    now = Date.now(),
  ) {
    const { job, webUi } = input;
    const received = { ...job.received, id: job.id };
    this.state = {
      format: 1,
      job: received,
      host: webUi.host.name,
      workerId: webUi.workerId ?? 0,
      phase: "setup",
      acceptedAt: now,
    };
  }

  save(phase: JobState["phase"]): Promise<void> {
    const startedAt = phase === "running" ? { startedAt: Date.now() } : {};
    return this.write({ ...this.state, phase, ...startedAt });
  }

  /** What the server has been told so far. */
  noteReported(reported: unknown): Promise<void> {
    return this.write({ ...this.state, reported });
  }

  private write(state: JobState): Promise<void> {
    this.state = state;
    this.saving = this.saving
      .then(() => writeJobState(this.input.settings.poolDirectory, state))
      .catch((error) => this.log.warn(`Unable to keep the state of the job: ${errorText(error)}`));
    return this.saving;
  }
}
