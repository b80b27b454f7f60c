// What a job is run with, and what there is of it so far.
import type { AssetCaches } from "../cache/worker/asset-caches.ts";
import type { Settings } from "../config/settings.ts";
import type { Program } from "../context.ts";
import type { IsotovideoRun } from "../isotovideo/start.ts";
import type { Reporter } from "../results/reporter.ts";
import type { WebUi } from "../webui/web-ui.ts";
import type { Job } from "./job.ts";
import type { JobLog } from "./job-log.ts";
import type { JobRecord } from "./job-record.ts";
import type { PreparedJob } from "./set-up/set-up-job.ts";

export interface JobInput {
  readonly job: Job;
  readonly webUi: WebUi;
  readonly settings: Settings;
  readonly program: Program;
  readonly caches: AssetCaches;
  /** Address under which the web UI reaches this host. */
  readonly workerHostname: string;
  /** isotovideo runs: tells every web UI, with the address of the command server in the job. */
  readonly hasStarted: (job: Readonly<Record<string, unknown>>) => void;
  /** The job is being ended: nothing can stop it any more. */
  readonly isEnding: () => void;
  /** The web UI is about to be told the end: for it the slot is free from now on. */
  readonly isEnded: () => void;
  /** Aborted when the processes of the job are to be killed at once. */
  readonly kill: AbortSignal;
  /** Aborted when nothing but the end of the job may be delivered any more. */
  readonly hurry: AbortSignal;
  /** Aborted when nothing at all may be delivered any more: the worker's own time to stop is over. */
  readonly giveUp: AbortSignal;
}

/** What there is of a job so far; its end takes care of whatever exists by then. */
export interface JobInProgress {
  readonly input: JobInput;
  readonly jobLog: JobLog;
  readonly record: JobRecord;
  /** What the job keeps until its end, its assets in the cache among it. */
  readonly held: AsyncDisposableStack;
  prepared?: PreparedJob;
  isotovideo?: IsotovideoRun;
  reporter?: Reporter;
}
