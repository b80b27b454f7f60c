// Uploads during the run: a round per status post, beside the posts that follow, and what developers hear of it.
import { outliving } from "../abortable.ts";
import type { Context } from "../context.ts";
import { isJobGivenUp, type UploadTarget } from "./artefact.ts";
import type { Audience } from "./audience.ts";
import { DeveloperNews, uploadProgress } from "./developer-news.ts";
import type { Report } from "./progress.ts";
import type { KnownFiles, ResultUploads } from "./result-uploads.ts";
import type { StatusPost } from "./status-posts.ts";

/** For what is under way when the job ends: it would have to be done again, or be done by the server too late. */
export const maxPartingMs = 10_000;

export class UploadRounds {
  private readonly refusal = Promise.withResolvers<Error>();
  private readonly news: DeveloperNews;
  private readonly underWay = new Set<Promise<void>>();
  private lastReport: Report | undefined;

  constructor(
    target: UploadTarget,
    private readonly audience: Audience,
    private readonly uploads: ResultUploads,
  ) {
    this.news = new DeveloperNews(target);
  }

  /** Resolves when the server has given the job up. */
  get refused(): Promise<Error> {
    return this.refusal.promise;
  }

  /** For a post that the server has taken. */
  start(post: StatusPost, known: KnownFiles, context: Context): void {
    this.lastReport = post.report;
    const round = this.round(post, known, context)
      .catch((error) => context.signal.aborted || this.refusal.reject(error))
      .then(() => void this.underWay.delete(round));
    this.underWay.add(round);
  }

  /** Resolves when nothing of it is under way any more: soon after the signal of the rounds was aborted. */
  async settled(): Promise<void> {
    await Promise.all(this.underWay);
    await this.news.settled();
  }

  private async round({ files }: StatusPost, known: KnownFiles, context: Context): Promise<void> {
    const failures = await outliving(context.signal, maxPartingMs, (signal) => {
      // Pictures that are still being made smaller by the end of the run go up after it.
      const uploading = this.uploads.upload(files, known, { ...context, signal }, context.signal);
      this.tellDevelopers(context);
      return uploading;
    });
    this.tellDevelopers(context);
    const error = failures.map(({ error }) => error).find(isJobGivenUp);
    if (error) this.refusal.resolve(error);
  }

  /** With the context of the run: nothing when the job is being stopped. */
  private tellDevelopers(context: Context): void {
    if (!this.audience.hasDeveloper || !this.lastReport) return;
    this.news.tell(uploadProgress(this.lastReport, this.uploads.outstanding), context);
  }
}
