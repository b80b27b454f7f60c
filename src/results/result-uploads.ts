// Uploads of what the results refer to: pictures with their thumbnails, texts, audio (protocol 7). Knows what the
// server has confirmed; what failed stays wanted.
import type { Context } from "../context.ts";
import { ApiError, errorText } from "../errors.ts";
import { isJobGivenUp, type UploadTarget, uploadFile } from "./artefact.ts";
import { Lanes } from "./lanes.ts";
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

export class ResultUploads {
  private readonly target: UploadTarget;
  private readonly lanes: Lanes;
  /** By md5 or file name. What failed is not in here. */
  private readonly states = new Map<string, "under way" | "confirmed">();

  constructor(target: UploadTarget) {
    this.target = target;
    this.lanes = new Lanes(target.settings.own.report.parallelUploads);
  }

  /**
   * Uploads what neither the server knows nor an earlier call has uploaded or is uploading; resolves with what
   * failed. Throws the signal's reason when aborted.
   */
  async upload(
    files: readonly ResultFile[],
    { knownImages, knownFiles }: KnownFiles,
    context: Context,
  ): Promise<UploadFailure[]> {
    const known = new Set([...knownImages, ...knownFiles.map(fileKey)]);
    const wanted = files.filter((file) => !this.states.has(keyOf(file)) && !known.has(keyOf(file)));
    for (const file of wanted) this.states.set(keyOf(file), "under way");
    const failures: UploadFailure[] = [];
    const results = await Promise.allSettled(
      wanted.map((file) => this.lanes.run(() => this.uploadOne(file, failures, context))),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
    return failures;
  }

  /** What failed does not count: it may not be tried again before the end. */
  get outstanding(): OutstandingUploads {
    const keys = [...this.states].flatMap(([key, state]) => (state === "under way" ? [key] : []));
    const files = keys.filter(isFileKey).length;
    return { images: keys.length - files, files };
  }

  private async uploadOne(file: ResultFile, failures: UploadFailure[], context: Context): Promise<void> {
    this.states.delete(keyOf(file));
    context.signal.throwIfAborted();
    // Where the server is away, or does not take anything for this job, each further file would only use up its tries.
    if (failures.some(({ error }) => isJobGivenUp(error) || (error instanceof ApiError && !error.isFinal)))
      return;
    this.states.set(keyOf(file), "under way");
    try {
      await (file.kind === "picture" ? this.uploadPicture(file, context) : this.uploadText(file, context));
      this.states.set(keyOf(file), "confirmed");
    } catch (error) {
      this.states.delete(keyOf(file));
      context.signal.throwIfAborted();
      context.log.error(`Error uploading ${file.name}: ${errorText(error)}`);
      failures.push({ name: file.name, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }

  private async uploadPicture(
    { name, md5 }: ResultFile & { kind: "picture" },
    context: Context,
  ): Promise<void> {
    // The server knows a picture by itself alone, so the thumbnail has to be there before.
    await this.send(`testresults/.thumbs/${name}`, name, { image: "1", thumb: "1", md5 }, context);
    await this.send(`testresults/${name}`, name, { image: "1", thumb: "0", md5 }, context);
  }

  private async uploadText({ name }: ResultFile, context: Context): Promise<void> {
    const isThere = await this.send(`testresults/${name}`, name, { image: "0", thumb: "0" }, context);
    if (!isThere) context.log.warn(`Result file ${name} is missing`);
  }

  /** A file that is a trap is left alone for good: no later try can mend it. */
  private async send(
    inPool: string,
    name: string,
    fields: Readonly<Record<string, string>>,
    context: Context,
  ): Promise<boolean> {
    try {
      return await uploadFile(this.target, { inPool, as: name }, fields, context);
    } catch (error) {
      if (!(error instanceof PoolFileError)) throw error;
      context.log.warn(`Not uploading: ${error.message}`);
      return true;
    }
  }
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
