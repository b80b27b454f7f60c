// Tells the web UI how a job goes: status posts at their period while it runs, uploads beside them, and the last post
// at its end (protocol 7, 8.1 step 5). Stops nothing itself: it says what it found.
import { abortable, outliving } from "../abortable.ts";
import type { Context } from "../context.ts";
import { ApiError } from "../errors.ts";
import { sleep } from "../sleep.ts";
import { postStatus } from "../webui/jobs-api.ts";
import { isJobGivenUp, type UploadTarget } from "./artefact.ts";
import { nextReport, nothingReported, type Progress } from "./progress.ts";
import { type Look, ResultReader } from "./result-reader.ts";
import { type KnownFiles, ResultUploads } from "./result-uploads.ts";
import { type FixedStatus, PictureSums, type ResultFile, statusReport } from "./status-report.ts";

export interface ReporterOptions extends UploadTarget {
  readonly fixed: FixedStatus;
  /** What an earlier reporter of this job had reported. */
  readonly reported?: Progress;
  /** Called when the server has been told more: plain data, for a later start that goes on with this job. */
  readonly onReported?: (reported: Progress) => void;
}

/** Why the periodic posts have ended. */
export type ReportEnd =
  | { readonly why: "aborted" }
  /** The server has given the job up. */
  | { readonly why: "refused"; readonly error: Error }
  | { readonly why: "no tests scheduled" };

/** Periods after a failed post are up to this share longer. */
const failureJitter = 0.2;

/** For what is under way when the job ends: a post given up could be handled by the server after the last one. */
const maxPartingMs = 10_000;

export class Reporter {
  private readonly options: ReporterOptions;
  private readonly reader: ResultReader;
  private readonly pictures: PictureSums;
  private readonly uploads: ResultUploads;
  private progress: Progress;
  private atRest: Promise<unknown> = Promise.resolve();

  constructor(options: ReporterOptions) {
    const { poolDirectory, settings, reported = nothingReported } = options;
    this.options = options;
    const { maxResultFileBytes } = settings.own.limits;
    this.reader = new ResultReader({ poolDirectory, maxFileBytes: maxResultFileBytes });
    this.pictures = new PictureSums(poolDirectory);
    this.uploads = new ResultUploads(options);
    this.progress = reported;
  }

  /**
   * Posts at once and then every `report.intervalMs` from post to post, until aborted or until the server has given
   * the job up. A web UI that is away only makes the next post carry more.
   */
  run(context: Context): Promise<ReportEnd> {
    const ended = this.runUntilEnd(context);
    this.atRest = ended.catch(() => {});
    return ended;
  }

  private async runUntilEnd(context: Context): Promise<ReportEnd> {
    const stop = new AbortController();
    const inner = { log: context.log, signal: AbortSignal.any([context.signal, stop.signal]) };
    const givenUp = Promise.withResolvers<ReportEnd>();
    const uploading = new Set<Promise<void>>();
    const uploadBeside = (files: readonly ResultFile[], known: KnownFiles) => {
      // An upload under way when the job ends would have to be done again.
      const upload = outliving(inner.signal, maxPartingMs, (signal) =>
        this.uploadBeside(files, known, { ...inner, signal }),
      )
        .then((end) => end && givenUp.resolve(end), givenUp.reject)
        .finally(() => uploading.delete(upload));
      uploading.add(upload);
    };
    const posting = this.postPeriodically(uploadBeside, inner);
    try {
      return await Promise.race([posting, givenUp.promise]);
    } finally {
      stop.abort();
      await Promise.allSettled([posting]);
      await Promise.allSettled(uploading);
    }
  }

  /**
   * The last post, with all results, and then whatever has not been uploaded yet; waits until `run` has ended. Resolves with what goes into the
   * reason when something could not be delivered (protocol 8.3 no. 10). Throws the signal's reason when aborted.
   */
  async finish(context: Context): Promise<string | undefined> {
    await abortable(this.atRest, context.signal);
    const seen = await this.reader.look(true, context);
    if (seen.hasNoTests) return undefined;
    const { report, status, files } = await this.compose(seen, context);
    try {
      const { jobId, webUi } = this.options;
      const known = await postStatus(webUi, jobId, status, context, { remembered: false });
      this.noteReported(report.progress);
      const [failure] = await this.uploads.upload(files, known, context);
      return failure && `Unable to upload images: Error uploading ${failure.name}: ${failure.error.message}`;
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof ApiError)) throw error;
      context.log.error(`Unable to post the last status: ${error.message}`);
      return "Unable to upload images: posting status failed";
    }
  }

  private async postPeriodically(
    uploadBeside: (files: readonly ResultFile[], known: KnownFiles) => void,
    context: Context,
  ): Promise<ReportEnd> {
    const { intervalMs } = this.options.settings.own.report;
    const { busyRetryDelayMs } = this.options.webUi.host;
    try {
      for (;;) {
        const startMs = performance.now();
        const outcome = await this.postOnce(uploadBeside, context);
        if (typeof outcome === "object") return outcome;
        // Jobs whose web UI comes back do not post all at once.
        const failedMs = Math.max(intervalMs, outcome === "busy" ? busyRetryDelayMs : 0);
        const periodMs = outcome === "posted" ? intervalMs : failedMs * (1 + failureJitter * Math.random());
        await sleep(Math.max(0, startMs + periodMs - performance.now()), context.signal);
      }
    } catch (error) {
      if (context.signal.aborted) return { why: "aborted" };
      throw error;
    }
  }

  private async postOnce(
    uploadBeside: (files: readonly ResultFile[], known: KnownFiles) => void,
    context: Context,
  ): Promise<ReportEnd | "posted" | "failed" | "busy"> {
    const seen = await this.reader.look(false, context);
    if (seen.hasNoTests) return { why: "no tests scheduled" };
    const { report, status, files } = await this.compose(seen, context);
    try {
      const { jobId, webUi } = this.options;
      const known = await outliving(context.signal, maxPartingMs, (signal) =>
        postStatus(webUi, jobId, status, { ...context, signal }, { tries: 1 }),
      );
      this.noteReported(report.progress);
      uploadBeside(files, known);
      return "posted";
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof ApiError)) throw error;
      if (error.isFinal) return { why: "refused", error };
      context.log.info("The next status post will carry what this one could not");
      // "Failed modules": the server has not got the order that it was sent, so the next post carries it again.
      if (error.status === 490) this.progress = withoutOrder(this.progress);
      return error.isBusy ? "busy" : "failed";
    }
  }

  private noteReported(progress: Progress): void {
    const hasChanged = !Bun.deepEquals(progress, this.progress);
    this.progress = progress;
    if (hasChanged) this.options.onReported?.(progress);
  }

  private async compose(seen: Look, context: Context) {
    const results = await this.reader.readResults(this.progress, seen, context);
    const report = nextReport(this.progress, seen, results);
    const { testExecutionPaused } = seen;
    return {
      report,
      ...(await statusReport(this.options.fixed, testExecutionPaused, report, this.pictures, context)),
    };
  }

  private async uploadBeside(
    files: readonly ResultFile[],
    known: KnownFiles,
    context: Context,
  ): Promise<ReportEnd | undefined> {
    try {
      const failures = await this.uploads.upload(files, known, context);
      const error = failures.map(({ error }) => error).find(isJobGivenUp);
      return error && { why: "refused", error };
    } catch (error) {
      if (context.signal.aborted) return undefined;
      throw error;
    }
  }
}

function withoutOrder({ orderVersion: _, ...others }: Progress): Progress {
  return others;
}
