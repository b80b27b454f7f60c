// Tells developers how far the results of a job are on the server: the live view handler passes it on to their
// browsers (protocol 7). Nothing waits for this, and nothing ends because of it.
import type { Context } from "../context.ts";
import { ApiError, errorText } from "../errors.ts";
import { postUploadProgress, type UploadProgress } from "../webui/jobs-api.ts";
import type { UploadTarget } from "./artefact.ts";
import type { Report } from "./progress.ts";
import type { OutstandingUploads } from "./result-uploads.ts";

/** The news after a post. */
export function uploadProgress(
  { sentUpTo, progress }: Pick<Report, "sentUpTo" | "progress">,
  { images, files }: OutstandingUploads,
): UploadProgress {
  return {
    upload_up_to: sentUpTo ?? null,
    upload_up_to_current_module: sentUpTo === undefined ? null : sentUpTo === progress.currentModule ? 1 : 0,
    outstanding_images: images,
    outstanding_files: files,
  };
}

export class DeveloperNews {
  private readonly target: UploadTarget;
  private told: UploadProgress | undefined;
  /** The latest; those before it that nobody could be told are old news. */
  private due: UploadProgress | undefined;
  private telling: Promise<void> | undefined;

  constructor(target: UploadTarget) {
    this.target = target;
  }

  /** One after the other, only what has changed, and nothing when the signal is aborted. */
  tell(news: UploadProgress, context: Context): void {
    this.due = news;
    this.telling ??= this.tellAll(context).finally(() => {
      this.telling = undefined;
    });
  }

  /** Resolves when nothing is being told. */
  async settled(): Promise<void> {
    await this.telling;
  }

  private async tellAll(context: Context): Promise<void> {
    for (let news = this.due; news !== undefined; news = this.due) {
      this.due = undefined;
      if (!Bun.deepEquals(news, this.told)) await this.tellOnce(news, context);
    }
  }

  private async tellOnce(news: UploadProgress, context: Context): Promise<void> {
    const { webUi, jobId, settings } = this.target;
    try {
      await postUploadProgress(webUi, jobId, news, context, { timeoutMs: settings.own.timeouts.answerMs });
      this.told = news;
    } catch (error) {
      if (context.signal.aborted) return;
      if (!(error instanceof ApiError))
        context.log.error(`Unable to tell developers about uploads: ${errorText(error)}`);
      // Where there is no live view handler each round would fail alike.
      else if (error.isFinal) this.told = news;
    }
  }
}
