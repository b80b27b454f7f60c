// The status posts of a job: what the next one says, and what the server has been told by those before (protocol 7).
// When they go out is the concern of others.
import type { Context } from "../context.ts";
import { ApiError } from "../errors.ts";
import { postStatus } from "../webui/jobs-api.ts";
import type { RestRequest } from "../webui/web-ui.ts";
import type { UploadTarget } from "./artefact.ts";
import { nextReport, nothingReported, type Progress, type Report } from "./progress.ts";
import { ResultReader } from "./result-reader.ts";
import type { KnownFiles } from "./result-uploads.ts";
import { type FixedStatus, PictureSums, type StatusReport, statusReport } from "./status-report.ts";

export interface StatusPostsOptions extends UploadTarget {
  readonly fixed: FixedStatus;
  /** What an earlier reporter of this job had reported. */
  readonly reported?: Progress;
  /** Called when the server has been told more: plain data, for a later start that goes on with this job. */
  readonly onReported?: (reported: Progress) => void;
}

export interface StatusPost extends StatusReport {
  readonly report: Report;
}

export class StatusPosts {
  private readonly options: StatusPostsOptions;
  private readonly reader: ResultReader;
  private readonly pictures: PictureSums;
  private progress: Progress;

  constructor(options: StatusPostsOptions) {
    const { poolDirectory, settings, reported = nothingReported } = options;
    this.options = options;
    const { maxResultFileBytes } = settings.own.limits;
    this.reader = new ResultReader({ poolDirectory, maxFileBytes: maxResultFileBytes });
    this.pictures = new PictureSums(poolDirectory);
    this.progress = reported;
  }

  /** `isLast`: for the end of the job. Undefined when tests should be under way but none are scheduled. */
  async next(isLast: boolean, context: Context): Promise<StatusPost | undefined> {
    const seen = await this.reader.look(isLast, context);
    if (seen.hasNoTests) return undefined;
    const results = await this.reader.readResults(this.progress, seen, context);
    const report = nextReport(this.progress, seen, results);
    const { fixed } = this.options;
    return {
      report,
      ...(await statusReport(fixed, seen.testExecutionPaused, report, this.pictures, context)),
    };
  }

  /** Throws `ApiError` when the server has not taken it. */
  async send(
    { status, report }: StatusPost,
    options: Pick<RestRequest, "tries" | "remembered">,
    context: Context,
  ): Promise<KnownFiles> {
    const { webUi, jobId } = this.options;
    try {
      const known = await postStatus(webUi, jobId, status, context, options);
      this.noteReported(report.progress);
      return known;
    } catch (error) {
      // The server has not got the order that it was sent, so the next post carries it again.
      if (error instanceof ApiError && isForLackOfModules(error)) this.progress = withoutOrder(this.progress);
      throw error;
    }
  }

  private noteReported(progress: Progress): void {
    const hasChanged = !Bun.deepEquals(progress, this.progress);
    this.progress = progress;
    if (hasChanged) this.options.onReported?.(progress);
  }
}

/**
 * "Failed modules": results came for modules that the server has not got from any test order. All else of that post it
 * has taken, as it looks at results last.
 */
export function isForLackOfModules(error: ApiError): boolean {
  return error.status === 490;
}

function withoutOrder({ orderVersion: _, ...others }: Progress): Progress {
  return others;
}
