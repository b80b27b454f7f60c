// What the configuration of one slot comes to: typed, immutable, each value with the place it came from.
// Types only; `load-settings.ts` makes them (protocol 1).
import type { LogLevel } from "../ops/log.ts";

export interface Credentials {
  readonly key: string;
  readonly secret: string;
}

/** One entry of HOST with what its section says. */
export interface WebUiHostSettings {
  /** The entry as written in HOST: name of its section, of messages and of cache folders. */
  readonly name: string;
  /** scheme://host[:port], without a path. */
  readonly url: string;
  /** Share directory of this host, absolute. */
  readonly shareDirectory: string;
  readonly testPoolServer: string | undefined;
  /** Undefined when neither key nor secret is configured: requests then go unsigned. */
  readonly credentials: Credentials | undefined;
  /** Wait between REST tries, and when the web UI says that it is busy. */
  readonly retryDelayMs: number;
  readonly busyRetryDelayMs: number;
}

/** An entry of HOST that is never registered at, and why. */
export interface IgnoredHost {
  readonly name: string;
  readonly reason: string;
}

export interface Settings {
  /** Number of the slot, from 1. */
  readonly instance: number;
  readonly hosts: readonly WebUiHostSettings[];
  readonly ignoredHosts: readonly IgnoredHost[];
  /** WORKER_CLASS as configured; undefined: by CPU (protocol 3.2). */
  readonly workerClass: string | undefined;
  readonly workerHostname: string | undefined;
  /** ARCH: overrides the detected CPU architecture. */
  readonly arch: string | undefined;
  /** `$OPENQA_BASEDIR/openqa`. */
  readonly projectDirectory: string;
  readonly poolDirectory: string;
  /** What all slots of this host keep beside the pools: the spool, the permits of the start throttle. */
  readonly stateDirectory: string;
  /** Undefined: caching is off. */
  readonly cache: CacheSettings | undefined;
  readonly upload: {
    /** LOCAL_UPLOAD: a local web UI is told an asset's path instead of sent its bytes. */
    readonly local: boolean;
    readonly chunkBytes: number;
    readonly chunkTries: number;
    readonly firstChunkRetryDelayMs: number;
  };
  /** Between status messages on the websocket: uniformly random in between. */
  readonly statusMinIntervalMs: number;
  readonly statusMaxIntervalMs: number;
  /** Between tries to register and connect. */
  readonly connectIntervalMs: number;
  readonly acceptAttempts: number;
  /** Tries per REST call, the first included. */
  readonly restTries: number;
  readonly terminateAfterJobsDone: boolean;
  readonly packagesCommand: string | undefined;
  readonly parallelOneHostOnly: string | undefined;
  /** Threshold of the load average, 0 turns it off. */
  readonly criticalLoadAverage: number;
  readonly loadAverageFile: string;
  readonly ephemeralRecheckIntervalMs: number;
  readonly throttle: ThrottleSettings | undefined;
  readonly ipmi: IpmiSettings | undefined;
  readonly logLevel: LogLevel;
  /** LOG_DIR, or undefined: stdout. */
  readonly logDirectory: string | undefined;
  /** OPENQA_LOGFILE. */
  readonly logFile: string | undefined;
  /** Absolute path of isotovideo, and whether `--isotovideo` named it. */
  readonly isotovideo: { readonly path: string; readonly isExplicit: boolean };
  /** False with `--no-cleanup`. */
  readonly cleansPool: boolean;
  readonly vncPortOffset: number;
  /** D-Bus name that class `tap` needs. */
  readonly ovsDbusService: string;
  readonly cgroupSlice: string | undefined;
  /** All that is merged into every job's settings (protocol 1.3, 4.1), keys in upper case. */
  readonly jobSettings: Readonly<Record<string, string>>;
  /** Settings of our own, from openqa-worker.toml. */
  readonly own: OwnSettings;
  /** Parse errors of configuration files, with file and line, for the log and the setup info. */
  readonly problems: readonly string[];
  /** Dotted path of each value above → where it came from: "FILE:LINE", "$VARIABLE", "--flag" or "default". */
  readonly origins: ReadonlyMap<string, string>;
}

export interface CacheSettings {
  /** Assets and their index: OPENQA_CACHE_DIR, else CACHEDIRECTORY. */
  readonly directory: string;
  /** Test distributions, as `HOST/tests` in it: CACHEDIRECTORY. */
  readonly testsDirectory: string;
  /** 0: no limit. */
  readonly limitGib: number;
  readonly minFreePercentage: number | undefined;
  /** Downloads at the same time, over all processes that use the directory. */
  readonly workers: number;
  /** More downloads waiting than that: no new job. `Infinity`: no limit. */
  readonly maxWaiting: number;
  /** More downloads waiting than that: no asset for a job that was taken. */
  readonly maxWaitingOfJob: number;
  readonly service: CacheServiceSettings;
  readonly sync: TestSyncSettings;
}

/** The stock cache service, asked over HTTP. */
export interface CacheServiceSettings {
  /** CACHESERVICEURL when it is set explicitly: then nothing else is used. */
  readonly url: string | undefined;
  /** Where one of this host would answer. */
  readonly localUrl: string;
  /** Tries while there is no connection, the first included, and the wait between them. */
  readonly tries: number;
  readonly retryDelayMs: number;
  /** Between two looks at a request. */
  readonly pollIntervalMs: number;
  /** Of the one try that a check of availability makes. */
  readonly checkTimeoutMs: number;
}

export interface TestSyncSettings {
  /** rsync's own time-out for input and output. */
  readonly timeoutMs: number;
  /** Runs of rsync in a round, whatever it fails with, and the wait between them. */
  readonly tries: number;
  readonly retryDelayMs: number;
  /** Rounds, for exit codes that another one may mend. */
  readonly rounds: number;
}

export interface ThrottleSettings {
  readonly name: string;
  readonly limit: number;
  readonly expirationMs: number;
}

export interface IpmiSettings {
  readonly hostname: string;
  readonly user: string;
  readonly password: string;
  readonly options: string;
  readonly shutdownIntervalMs: number;
}

/** Settings that the stock worker does not have. In openqa-worker.toml as `[table] key`, in snake case. */
export interface OwnSettings {
  readonly timeouts: {
    /** Until a request's answer begins (connect, send, wait), for requests without a big body. */
    readonly answerMs: number;
    /** Without a byte in either direction. */
    readonly idleMs: number;
    /** A request as a whole. */
    readonly requestMs: number;
    /** Until the websocket is open. */
    readonly websocketMs: number;
  };
  readonly stop: {
    /** From TERM to isotovideo to KILL of what is left. */
    readonly graceMs: number;
    /** After TERM to the worker: stop, uploads and set_done together. */
    readonly totalMs: number;
  };
  readonly report: {
    readonly intervalMs: number;
    /** While somebody watches the job. */
    readonly watchedIntervalMs: number;
    readonly parallelUploads: number;
  };
  readonly pictures: {
    /** Pictures optimised at the same time, for all slots of this process. */
    readonly parallel: number;
    /** From the end of isotovideo until pictures go out as they are. */
    readonly endDelayMs: number;
    /** For one picture. */
    readonly timeoutMs: number;
    /** Without a picture until the process that optimises ends. */
    readonly idleMs: number;
  };
  readonly spool: {
    /** Tries of a call at the end of a job while the web UI is away; then the job goes to the spool. */
    readonly triesBefore: number;
    /** Wait between tries to deliver from the spool: it doubles from the first to the second. */
    readonly retryDelayMs: number;
    readonly maxRetryDelayMs: number;
    /** What a web UI has refused for good is kept for so long, and up to so many bytes for each slot. */
    readonly keepRefusedMs: number;
    readonly keepRefusedBytes: number;
  };
  readonly cache: {
    /** Wait between tries of a download: it doubles from the first to the second. */
    readonly retryDelayMs: number;
    readonly maxRetryDelayMs: number;
    /** A download that gets less than so many bytes in so long has stalled and is tried again. */
    readonly minBytesPerWindow: number;
    readonly rateWindowMs: number;
    /** Between looks at a lock that another process has. */
    readonly lockRetryMs: number;
    /** For another process to let go of the index. */
    readonly indexWaitMs: number;
  };
  readonly limits: {
    /** Frames above this end the connection. */
    readonly maxFrameBytes: number;
    /** Jobs in messages above this are rejected. */
    readonly maxJobMessageBytes: number;
    /** Result files above this are not read. */
    readonly maxResultFileBytes: number;
  };
}
