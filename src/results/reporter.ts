// Tells the web UI about a job, from the start of isotovideo to the last post (protocol 7, 8.1 step 5).
import { abortable, allEnded } from "../abortable.ts";
import type { Context } from "../context.ts";
import { ApiError } from "../errors.ts";
import { nothingKnown, ResultUploads } from "./result-uploads.ts";
import { type ReportEnd, RunningReports, type RunningReportsOptions } from "./running-reports.ts";
import { StatusPosts } from "./status-posts.ts";
import type { ResultFile } from "./status-report.ts";

export type { ReportEnd } from "./running-reports.ts";
export type ReporterOptions = RunningReportsOptions;

/** Something of the results could not be delivered. */
export interface ResultFailure {
  /** For the reason of the job (protocol 8.3 no. 10). */
  readonly text: string;
  /** Tells a web UI that is away from one that refuses. */
  readonly error: Error;
}

export class Reporter {
  private readonly options: ReporterOptions;
  private readonly posts: StatusPosts;
  private readonly uploads: ResultUploads;
  private atRest: Promise<unknown> = Promise.resolve();

  constructor(options: ReporterOptions) {
    this.options = options;
    this.posts = new StatusPosts(options);
    this.uploads = new ResultUploads(options);
  }

  /**
   * Posts at once and then every `report.intervalMs` from post to post, or `report.watchedIntervalMs` while somebody
   * watches, until aborted or until the server has given the job up. A web UI that is away only makes the next post
   * carry more.
   */
  run(context: Context): Promise<ReportEnd> {
    const ended = new RunningReports(this.options, this.posts, this.uploads).untilEnd(context);
    this.atRest = ended.catch(() => {});
    return ended;
  }

  /**
   * The last post, with all results, and then whatever has not been uploaded yet; waits until `run`, if it was called,
   * has ended. Throws the signal's reason when aborted.
   */
  async finish(context: Context): Promise<ResultFailure | undefined> {
    await abortable(this.atRest, context.signal);
    const post = await this.posts.next(true, context);
    if (post === undefined) return undefined;
    try {
      const certain = post.files.filter((file) => this.isCertainlyWanted(file));
      const [known, failures] = await allEnded([
        this.posts.send(post, { remembered: false }, context),
        this.uploads.upload(certain, nothingKnown, context),
      ]);
      const others = post.files.filter((file) => !this.isCertainlyWanted(file));
      failures.push(...(await this.uploads.upload(others, known, context)));
      const [failure] = failures;
      if (failure === undefined) return undefined;
      const { name, error } = failure;
      return { text: `Unable to upload images: Error uploading ${name}: ${error.message}`, error };
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof ApiError)) throw error;
      context.log.error(`Unable to post the last status: ${error.message}`);
      return { text: "Unable to upload images: posting status failed", error };
    }
  }

  /**
   * Texts are known by their name in this job: what this reporter of a whole job has not uploaded, the server has not
   * got. So they need not wait for its answer.
   */
  private isCertainlyWanted({ kind }: ResultFile): boolean {
    return kind === "file" && this.options.reported === undefined;
  }
}
