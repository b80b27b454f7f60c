// What a job is run with, and what there is of it so far.
import type { AssetCaches } from "../cache/worker/asset-caches.ts";
import type { Settings } from "../config/settings.ts";
import type { Program } from "../context.ts";
import type { IsotovideoRun } from "../isotovideo/isotovideo-run.ts";
import type { JobPictures } from "../pictures/job-pictures.ts";
import type { Optimises } from "../pictures/picture-optimiser.ts";
import type { Audience } from "../results/audience.ts";
import type { Reporter } from "../results/reporter.ts";
import type { WebUi } from "../webui/web-ui.ts";
import type { Job } from "./job.ts";
import type { JobLog } from "./job-log.ts";
import type { JobRecord } from "./job-record.ts";
import type { JobWebUi } from "./job-web-ui.ts";
import type { Spool } from "./spool/spool.ts";

export interface JobInput {
  readonly job: Job;
  readonly webUi: WebUi;
  readonly settings: Settings;
  readonly program: Program;
  readonly caches: AssetCaches;
  readonly optimiser: Optimises;
  readonly spool: Spool;
  readonly audience: Audience;
  /** Address under which the web UI reaches this host. */
  readonly workerHostname: string;
  /** Called when the job comes to its next phase. */
  readonly entered: (phase: "setup" | "running" | "ending" | "ended") => void;
  /** isotovideo runs: tells every web UI, with the address of the command server in the job. */
  readonly hasStarted: (job: Readonly<Record<string, unknown>>) => void;
  /** Aborted when the worker ends: nothing is done any more that the job could do without. */
  readonly stop: AbortSignal;
  /** Aborted when the processes of the job are to be killed at once. */
  readonly kill: AbortSignal;
  /** Aborted when nothing more may be delivered: what is left goes to the spool. */
  readonly hurry: AbortSignal;
  /** Aborted when the worker's own time to stop is over. */
  readonly giveUp: AbortSignal;
}

/** What there is of a job so far; its end takes care of whatever exists by then. */
export interface JobInProgress {
  readonly input: JobInput;
  readonly webUi: JobWebUi;
  readonly jobLog: JobLog;
  readonly record: JobRecord;
  /** What the job keeps until its end, its assets in the cache among it. */
  readonly held: AsyncDisposableStack;
  /** An earlier start of the worker has begun it. */
  readonly isAdopted?: true;
  isotovideo?: IsotovideoRun;
  /** While it runs, unless pictures go out as they are. */
  pictures?: JobPictures;
  reporter?: Reporter;
}
