// One try of a download: asks for what is missing and takes in what comes. When to try again is not known here.
import type { Context } from "../../context.ts";
import { AssetRefusedError, CacheError } from "../../errors.ts";
import { byteText } from "../../ops/byte-text.ts";
import { DeadlineError } from "../../webui/deadlines.ts";
import { connectionError } from "../../webui/retry.ts";
import { askForAsset } from "./ask-for-asset.ts";
import type { Downloaded, DownloadRequest } from "./download-request.ts";
import { removePartial } from "./partial-file.ts";
import { PartialWriter } from "./partial-writer.ts";
import { receive } from "./receive.ts";
import { conditionsOf, type Meaning, meaningOf, planRequest, statusText } from "./resume.ts";

/** A try failed, another one may succeed. */
export class TryFailure extends Error {
  constructor(
    message: string,
    readonly retryAfterMs: number | undefined = undefined,
  ) {
    super(message);
  }
}

/** A server is not kept waiting longer than that: making room may take as long as others download. */
const maxHeldMs = 10_000;
const progressIntervalMs = 100;

/** What a try has of its connection. */
interface Link {
  /** Ends it, for the reason that the try then fails with. */
  readonly connection: AbortController;
  readonly body: Response["body"];
}

export class Transfer {
  private madeRoomBytes: number | undefined;
  private lastReportMs = Number.NEGATIVE_INFINITY;

  private constructor(
    private readonly request: DownloadRequest,
    /** Of the file, for people. */
    private readonly name: string,
    private writer: PartialWriter | undefined,
  ) {}

  /** Reads what an earlier download has left. `close` must be called in the end. */
  static async open(request: DownloadRequest, name: string, context: Context): Promise<Transfer> {
    return new Transfer(request, name, await PartialWriter.reopen(request.partial, name, context));
  }

  get receivedBytes(): number {
    return this.writer?.sizeBytes ?? 0;
  }

  get totalBytes(): number | undefined {
    return this.writer?.version.totalBytes;
  }

  /** "Ask again": at once, this was no failure. Throws `TryFailure`; whatever else it throws is final. */
  async try(context: Context): Promise<Downloaded | "ask again"> {
    const connection = new AbortController();
    const { request } = this;
    try {
      const plan = planRequest(request.etag, this.writer?.resumable);
      const question = {
        ...request,
        conditions: conditionsOf(plan),
        answerMs: request.timing.answerMs,
        connection,
      };
      const signal = AbortSignal.any([context.signal, connection.signal]);
      const response = await talking(askForAsset(question, signal), connection, context);
      const meaning = meaningOf(plan, response, /\.html?$/i.test(this.name));
      return await this.act(meaning, response.status, { connection, body: response.body }, context);
    } finally {
      connection.abort();
    }
  }

  /** Waits for nothing. */
  close(): void {
    this.writer?.close();
    this.writer = undefined;
  }

  private async act(meaning: Meaning, status: number, link: Link, context: Context) {
    const failed = `Download of "${this.name}" failed`;
    switch (meaning.kind) {
      case "unchanged":
        await this.discard();
        return { kind: "unchanged" } as const;
      case "complete":
        return await this.finish(context);
      case "whole":
        return await this.takeWhole(meaning, link, context);
      case "rest":
        return await this.takeRest(link, context);
      case "start over":
        context.log.info(`Starting the download of "${this.name}" over: ${meaning.why}`);
        await this.discard();
        return "ask again";
      case "refused":
        throw new AssetRefusedError(`${failed}: ${statusText(status)}`, status);
      case "unusable":
        throw new CacheError(`${failed}: ${this.request.url} ${meaning.why}`);
      case "try again":
        throw new TryFailure(meaning.why, meaning.retryAfterMs);
    }
  }

  private async takeWhole(version: Extract<Meaning, { kind: "whole" }>, link: Link, context: Context) {
    // Whatever is here is not a part of it, and takes room.
    await this.discard();
    if (!(await this.hasRoom(version.totalBytes ?? 0, link, context))) return "ask again";
    const { etag, totalBytes } = version;
    this.writer = await PartialWriter.create(this.request.partial, this.name, { etag, totalBytes });
    return await this.take(this.writer, link, context);
  }

  private async takeRest(link: Link, context: Context) {
    const { writer } = this;
    if (!writer) throw new Error("There is nothing to go on with");
    const missingBytes = (writer.version.totalBytes ?? 0) - writer.sizeBytes;
    if (!(await this.hasRoom(missingBytes, link, context))) return "ask again";
    const at = progressText(writer.sizeBytes, writer.version.totalBytes);
    context.log.info(`Going on with the download of "${this.name}" at ${at}`);
    return await this.take(writer, link, context);
  }

  /** False: it has taken so long that the server has to be asked again, and there will be room then. */
  private async hasRoom(neededBytes: number, { connection }: Link, context: Context): Promise<boolean> {
    if (this.madeRoomBytes === neededBytes) {
      this.madeRoomBytes = undefined;
      return true;
    }
    const timer = setTimeout(() => connection.abort(), Math.min(maxHeldMs, this.request.timing.answerMs));
    try {
      await this.request.makeRoom(neededBytes, context);
    } finally {
      clearTimeout(timer);
    }
    if (!connection.signal.aborted) return true;
    this.madeRoomBytes = neededBytes;
    return false;
  }

  private async take(
    writer: PartialWriter,
    { connection, body }: Link,
    context: Context,
  ): Promise<Downloaded> {
    await talking(
      receive(writer, body, { ...this.request.timing, connection, onPiece: () => this.report() }, context),
      connection,
      context,
    );
    const { totalBytes } = writer.version;
    if (totalBytes === undefined || writer.sizeBytes === totalBytes) return await this.finish(context);
    if (writer.sizeBytes > totalBytes) await this.discard();
    throw new TryFailure(`the server sent ${writer.sizeBytes} bytes instead of ${totalBytes}`);
  }

  private async finish(context: Context): Promise<Downloaded> {
    const { writer } = this;
    if (!writer) throw new Error("There is no file");
    this.lastReportMs = Number.NEGATIVE_INFINITY;
    this.report();
    return { kind: "fetched", etag: writer.version.etag, ...(await writer.finish(context)) };
  }

  private async discard(): Promise<void> {
    this.close();
    await removePartial(this.request.partial);
  }

  private report(): void {
    const nowMs = performance.now();
    if (nowMs - this.lastReportMs < progressIntervalMs) return;
    this.lastReportMs = nowMs;
    this.request.onProgress?.({ receivedBytes: this.receivedBytes, totalBytes: this.totalBytes });
  }
}

/** "3.1 GiB of 4.2 GiB". */
export function progressText(receivedBytes: number, totalBytes: number | undefined): string {
  return `${byteText(receivedBytes)}${totalBytes === undefined ? "" : ` of ${byteText(totalBytes)}`}`;
}

/** What goes wrong with a connection is worth another try; errors of the cache are not. */
async function talking<T>(
  talk: Promise<T>,
  { signal: connection }: AbortController,
  { signal }: Context,
): Promise<T> {
  try {
    return await talk;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CacheError) throw error;
    const stall: unknown = connection.reason;
    throw new TryFailure(stall instanceof DeadlineError ? stall.message : connectionError(error).message);
  }
}
