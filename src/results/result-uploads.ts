// Uploads of what the results refer to: pictures with their thumbnails, texts, audio (protocol 7). Knows what the
// server has confirmed; what failed stays wanted.
import { allEnded } from "../abortable.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { isFurtherInVain, type UploadTarget, uploadFile } from "./artefact.ts";
import { Lanes } from "./lanes.ts";
import { type PictureSource, picturesAsTheyAre } from "./picture-source.ts";
import { PoolFileError } from "./pool-file.ts";
import type { ResultFile } from "./status-report.ts";

/** What the server said in its answer to a status post. */
export interface KnownFiles {
  readonly knownImages: readonly string[];
  readonly knownFiles: readonly string[];
}

export const nothingKnown: KnownFiles = { knownImages: [], knownFiles: [] };

/** How many are on their way to the server. */
export interface OutstandingUploads {
  readonly images: number;
  readonly files: number;
}

export interface UploadFailure {
  readonly name: string;
  readonly error: Error;
}

export interface ResultUploadsOptions extends UploadTarget {
  /** Default: they go out as they are. */
  readonly pictures?: PictureSource;
}

/** What goes up together. */
interface Batch {
  readonly context: Context;
  /** Ends the wait for pictures that are being made smaller, nothing else. */
  readonly waiting: AbortSignal;
  readonly failures: UploadFailure[];
  /** Aborted when no further upload would succeed. */
  readonly over: AbortController;
}

/** Paths in the pool of what goes up for a picture. */
interface Smallest {
  readonly thumbnail: string;
  readonly picture: string;
}

export class ResultUploads {
  private readonly target: UploadTarget;
  private readonly pictures: PictureSource;
  private readonly lanes: Lanes;
  /** By md5 or file name. What failed is not in here. */
  private readonly states = new Map<string, "under way" | "confirmed">();

  constructor(options: ResultUploadsOptions) {
    this.target = options;
    this.pictures = options.pictures ?? picturesAsTheyAre;
    this.lanes = new Lanes(options.settings.own.report.parallelUploads);
  }

  /**
   * Uploads what neither the server knows nor an earlier call has uploaded or is uploading; resolves with what
   * failed. Throws the signal's reason when aborted. When `waiting` is, pictures that are still being made smaller are
   * left for a later call.
   */
  async upload(
    files: readonly ResultFile[],
    { knownImages, knownFiles }: KnownFiles,
    context: Context,
    waiting = context.signal,
  ): Promise<UploadFailure[]> {
    const known = new Set([...knownImages, ...knownFiles.map(fileKey)]);
    const wanted = files.filter((file) => !this.states.has(keyOf(file)) && !known.has(keyOf(file)));
    for (const file of wanted) this.states.set(keyOf(file), "under way");
    const over = new AbortController();
    const batch = { context, waiting: AbortSignal.any([waiting, over.signal]), failures: [], over };
    await allEnded(wanted.map((file) => this.uploadWhenReady(file, batch)));
    return batch.failures;
  }

  /** What failed does not count: it may not be tried again before the end. */
  get outstanding(): OutstandingUploads {
    const keys = [...this.states].flatMap(([key, state]) => (state === "under way" ? [key] : []));
    const files = keys.filter(isFileKey).length;
    return { images: keys.length - files, files };
  }

  /** Lanes are for transfers: a picture that is still being made smaller has none. */
  private async uploadWhenReady(file: ResultFile, batch: Batch): Promise<void> {
    if (file.kind === "file") {
      await this.lanes.run(() => this.uploadOne(file, batch, () => this.uploadText(file, batch.context)));
      return;
    }
    const smallest = await this.smallest(file.name, batch.waiting).catch((error) => {
      this.states.delete(keyOf(file));
      batch.context.signal.throwIfAborted();
      if (!batch.waiting.aborted) throw error;
    });
    if (smallest)
      await this.lanes.run(() =>
        this.uploadOne(file, batch, () => this.uploadPicture(file, smallest, batch.context)),
      );
  }

  private async smallest(name: string, waiting: AbortSignal): Promise<Smallest> {
    const [thumbnail, picture] = await Promise.all([
      this.pictures.smallest(thumbnailPath(name), waiting),
      this.pictures.smallest(picturePath(name), waiting),
    ]);
    return { thumbnail, picture };
  }

  private async uploadOne(
    file: ResultFile,
    { context, failures, over }: Batch,
    upload: () => Promise<void>,
  ): Promise<void> {
    this.states.delete(keyOf(file));
    context.signal.throwIfAborted();
    if (over.signal.aborted) return;
    this.states.set(keyOf(file), "under way");
    try {
      await upload();
      this.states.set(keyOf(file), "confirmed");
    } catch (error) {
      this.states.delete(keyOf(file));
      context.signal.throwIfAborted();
      context.log.error(`Error uploading ${file.name}: ${errorText(error)}`);
      failures.push({ name: file.name, error: error instanceof Error ? error : new Error(String(error)) });
      // Where the server is away, or does not take anything for this job, each further file would only use up its tries.
      if (isFurtherInVain(error)) over.abort();
    }
  }

  private async uploadPicture(
    { name, md5 }: ResultFile & { kind: "picture" },
    smallest: Smallest,
    context: Context,
  ): Promise<void> {
    // The server knows a picture by itself alone, so the thumbnail has to be there before.
    const parts = [
      { inPool: thumbnailPath(name), smallest: smallest.thumbnail, thumb: "1" },
      { inPool: picturePath(name), smallest: smallest.picture, thumb: "0" },
    ];
    for (const { inPool, smallest, thumb } of parts) {
      const fields = { image: "1", thumb, md5 };
      const isSent = smallest !== inPool && (await this.send(smallest, name, fields, context)) === "sent";
      if (!isSent) await this.send(inPool, name, fields, context);
      this.pictures.uploaded(inPool);
    }
  }

  private async uploadText({ name }: ResultFile, context: Context): Promise<void> {
    const sent = await this.send(`testresults/${name}`, name, { image: "0", thumb: "0" }, context);
    if (sent === "missing") context.log.warn(`Result file ${name} is missing`);
  }

  /** A file that is a trap is left alone for good: no later try can mend it. */
  private async send(
    inPool: string,
    name: string,
    fields: Readonly<Record<string, string>>,
    context: Context,
  ): Promise<"sent" | "missing" | "left alone"> {
    try {
      return (await uploadFile(this.target, { inPool, as: name }, fields, context)) ? "sent" : "missing";
    } catch (error) {
      if (!(error instanceof PoolFileError)) throw error;
      context.log.warn(`Not uploading: ${error.message}`);
      return "left alone";
    }
  }
}

function picturePath(name: string): string {
  return `testresults/${name}`;
}

function thumbnailPath(name: string): string {
  return `testresults/.thumbs/${name}`;
}

function keyOf(file: ResultFile): string {
  return file.kind === "picture" ? file.md5 : fileKey(file.name);
}

/** A text may be called like an md5. */
function fileKey(name: string): string {
  return `file ${name}`;
}

function isFileKey(key: string): boolean {
  return key.startsWith("file ");
}
