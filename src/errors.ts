// The errors of the project. Each class says which exit code it stands for; messages name the thing, what was
// found, what was expected and what to do. Errors that end a job carry what the reason text is made of.

/** Exit codes of all subcommands; scripts depend on them. */
export const exitCode = { done: 0, failed: 1, incomplete: 2, usage: 3 } as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

export abstract class WorkerError extends Error {
  abstract readonly exitCode: ExitCode;
  override get name(): string {
    return this.constructor.name;
  }
}

/** Wrong flags, configuration or set-up: the person at the terminal can mend it. */
export class UsageError extends WorkerError {
  readonly exitCode = exitCode.usage;
}

/** The slot's pool directory is locked by another worker. */
export class SlotTakenError extends UsageError {
  constructor(
    readonly poolDirectory: string,
    readonly holderPid: number | undefined,
  ) {
    const holder = holderPid === undefined ? "" : ` by process ${holderPid}`;
    super(`Unable to lock pool directory: ${poolDirectory} already locked${holder}`);
  }
}

/** First part of the reason of a job whose set-up failed; servers match it (protocol 8.3 no. 2). */
export type SetupFailureCategory = "setup failure" | "asset failure" | "cache failure";

/** The set-up of a job failed. */
export class SetupFailure extends WorkerError {
  readonly exitCode = exitCode.failed;
  constructor(
    readonly category: SetupFailureCategory,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The cache could not provide what was asked for; the message says what is wrong with which file or folder. */
export class CacheError extends WorkerError {
  readonly exitCode = exitCode.failed;
}

/** The web UI refused an asset: a 4xx that a repetition does not change. Nothing of the cache is lost. */
export class AssetRefusedError extends CacheError {
  constructor(
    message: string,
    readonly status: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** rsync could not bring the tests up to date; the cause is what it wrote. */
export class TestSyncError extends CacheError {
  constructor(
    message: string,
    /** Undefined: it was not run, or was ended. */
    readonly rsyncExitCode: number | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * Statuses after which RETRY_DELAY_IF_WEBUI_BUSY counts (protocol 2.3), and 429: proxies limit rates with it, and nobody
 * who is asked to come back later gives a job or a web UI host up for it.
 */
export const busyStatuses: readonly number[] = [408, 425, 429, 502, 503, 504, 598];

/** A file could not be read as its upload announced it: sending it again would not help. */
export class UnreadablePartError extends WorkerError {
  readonly exitCode = exitCode.failed;
}

/** A try of a REST call that got no usable answer: a refusing status, or no answer at all. */
export class ApiError extends WorkerError {
  readonly exitCode = exitCode.failed;
  constructor(
    /** "CODE response: TEXT" or "Connection error: TEXT", as it goes into reasons (protocol 2.3). */
    message: string,
    /** HTTP status; undefined when there was no answer. */
    readonly status: number | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** The server, or a proxy before it, has too much to do. */
  get isBusy(): boolean {
    return this.status !== undefined && busyStatuses.includes(this.status);
  }

  /** Clocks differ; they get set right again (field lesson 35). */
  get isClockSkew(): boolean {
    return this.status === 403 && this.message.includes("timestamp mismatch");
  }

  /** Nobody answers, or not for now: nothing is wrong with what was sent. */
  get isAway(): boolean {
    const hasNoAnswer = this.status === undefined && !(this.cause instanceof UnreadablePartError);
    return hasNoAnswer || this.isBusy || this.isClockSkew;
  }

  /** The server refused and will not change its mind: 4xx other than 490, the busy ones and clocks that differ. */
  get isFinal(): boolean {
    const { status } = this;
    const isRefusal = status !== undefined && status >= 400 && status < 500 && status !== 490;
    return isRefusal && !this.isBusy && !this.isClockSkew;
  }
}

/** Text of whatever was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
