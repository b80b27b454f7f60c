// Tells the web UI how a job goes while it runs: status posts at their period, uploads beside them, and what those who
// follow it in a browser are to see (protocol 7). Stops nothing itself: it says what it found.
import { outliving } from "../abortable.ts";
import type { Context } from "../context.ts";
import { ApiError } from "../errors.ts";
import { sleep } from "../sleep.ts";
import type { Audience } from "./audience.ts";
import { LiveLogFile } from "./live-log-file.ts";
import { type LivePlace, LiveView, noLiveParts } from "./live-view.ts";
import type { ResultUploads, ResultUploadsOptions } from "./result-uploads.ts";
import { isForLackOfModules, type StatusPosts, type StatusPostsOptions } from "./status-posts.ts";
import { maxPartingMs, UploadRounds } from "./upload-rounds.ts";

export interface RunningReportsOptions extends StatusPostsOptions, ResultUploadsOptions {
  readonly audience: Audience;
  /** What an earlier reporter of this job had shown to viewers. */
  readonly shown?: LivePlace;
  /** Called when viewers have been shown more: for a later start. */
  readonly onShown?: (shown: LivePlace) => void;
}

/** Why the periodic posts have ended. */
export type ReportEnd =
  | { readonly why: "aborted" }
  /** The server has given the job up. */
  | { readonly why: "refused"; readonly error: Error }
  | { readonly why: "no tests scheduled" };

type PostOutcome = "posted" | "failed" | "busy";

/** Periods after a failed post are up to this share longer. */
const failureJitter = 0.2;

export class RunningReports {
  private readonly liveView: LiveView;
  private readonly liveLogFile: LiveLogFile;
  private readonly uploadRounds: UploadRounds;
  /** Aborted when somebody has come who is to hear at once. */
  private comer = new AbortController();

  constructor(
    private readonly options: RunningReportsOptions,
    private readonly posts: StatusPosts,
    uploads: ResultUploads,
  ) {
    this.liveView = new LiveView(options.poolDirectory, options.shown);
    this.liveLogFile = new LiveLogFile(options.poolDirectory);
    this.uploadRounds = new UploadRounds(options, options.audience, uploads);
  }

  /** Resolves when nothing of it is under way any more. To be called once. */
  async untilEnd(context: Context): Promise<ReportEnd> {
    const stop = new AbortController();
    const inner = { log: context.log, signal: AbortSignal.any([context.signal, stop.signal]) };
    const unfollow = this.followAudience(context);
    const posting = this.postPeriodically(inner);
    const refused = this.uploadRounds.refused.then((error) => ({ why: "refused", error }) as const);
    try {
      return await Promise.race([posting, refused]);
    } finally {
      stop.abort();
      await unfollow();
      await Promise.allSettled([posting]);
      await this.uploadRounds.settled();
    }
  }

  /** Returns what ends it. */
  private followAudience({ log }: Context): () => Promise<void> {
    const { audience } = this.options;
    // Without viewers too: a worker before this one may have left it there.
    void this.liveLogFile.set(audience.isWatched, log);
    const unfollow = audience.onChange((change) => {
      if (change !== "last viewer left") this.comer.abort();
      if (change !== "developer came") void this.liveLogFile.set(audience.isWatched, log);
    });
    return () => {
      unfollow();
      return this.liveLogFile.set(false, log);
    };
  }

  private async postPeriodically(context: Context): Promise<ReportEnd> {
    try {
      for (;;) {
        const startMs = performance.now();
        // From here on: whoever comes during a post may not be in it any more.
        this.comer = new AbortController();
        const outcome = await this.postOnce(context);
        if (typeof outcome === "object") return outcome;
        await this.waitUntil(startMs + this.periodMs(outcome), context.signal);
      }
    } catch (error) {
      if (context.signal.aborted) return { why: "aborted" };
      throw error;
    }
  }

  private periodMs(outcome: PostOutcome): number {
    const { audience, settings, webUi } = this.options;
    const { intervalMs, watchedIntervalMs } = settings.own.report;
    const usualMs = audience.isWatched ? watchedIntervalMs : intervalMs;
    if (outcome === "posted") return usualMs;
    const { retryDelayMs, busyRetryDelayMs } = webUi.host;
    const delayMs = Math.max(usualMs, outcome === "busy" ? busyRetryDelayMs : retryDelayMs);
    // Jobs whose web UI comes back do not post all at once.
    return delayMs * (1 + failureJitter * Math.random());
  }

  private async waitUntil(dueMs: number, signal: AbortSignal): Promise<void> {
    try {
      const waitMs = Math.max(0, dueMs - performance.now());
      await sleep(waitMs, AbortSignal.any([signal, this.comer.signal]));
    } catch (error) {
      signal.throwIfAborted();
      if (!this.comer.signal.aborted) throw error;
    }
  }

  private async postOnce(context: Context): Promise<ReportEnd | PostOutcome> {
    const post = await this.posts.next(false, context);
    if (post === undefined) return { why: "no tests scheduled" };
    const isWatched = this.options.audience.isWatched;
    const live = isWatched ? await this.liveView.look(context) : noLiveParts;
    const whole = { ...post, status: { ...post.status, ...live.status } };
    try {
      // A post given up could be handled by the server after the last one of the job.
      const known = await outliving(context.signal, maxPartingMs, (signal) =>
        this.posts.send(whole, { tries: 1 }, { ...context, signal }),
      );
      live.taken();
      if (isWatched) this.options.onShown?.(this.liveView.place);
      this.uploadRounds.start(post, known, context);
      return "posted";
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof ApiError)) throw error;
      if (error.isFinal) return { why: "refused", error };
      if (isForLackOfModules(error)) live.taken();
      context.log.info("The next status post will carry what this one could not");
      return error.isBusy ? "busy" : "failed";
    }
  }
}
