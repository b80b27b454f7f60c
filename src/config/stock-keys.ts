// The stock worker's keys that have a meaning for the worker, with defaults and ranges (protocol 1.3).

/** What a number may be. Values are in the key's own unit. */
export interface NumberRange {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
  /** Fractions are cut off. */
  readonly whole?: true;
  /** Environment variable that wins. */
  readonly variable?: string;
}

/** The longest timer; a longer one would fire at once. */
export const maxDelayMs = 2 ** 31 - 1;

const seconds = (fallback: number, min = 0): NumberRange => ({
  fallback,
  min,
  max: Math.floor(maxDelayMs / 1000),
});
const count = (fallback: number, min: number, max: number): NumberRange => ({
  fallback,
  min,
  max,
  whole: true,
});

/** Settable in workers.ini and openqa-worker.toml. */
export const numberKeys = {
  CACHELIMIT: count(50, 0, 1_000_000),
  CACHEWORKERS: count(5, 1, 1000),
  UPLOAD_CHUNK_SIZE: count(10_000_000, 1, 1024 ** 3),
  UPLOAD_RETRIES: count(10, 0, 10_000),
  STATUS_MIN_INTERVAL: { ...seconds(60, 0.01), variable: "OPENQA_WORKER_STATUS_MIN_INTERVAL" },
  STATUS_MAX_INTERVAL: { ...seconds(300, 0.01), variable: "OPENQA_WORKER_STATUS_MAX_INTERVAL" },
  RETRY_DELAY: seconds(5),
  RETRY_DELAY_IF_WEBUI_BUSY: seconds(60),
  RETRIES: { ...count(60, 0, 1_000_000), variable: "OPENQA_WORKER_CONNECT_RETRIES" },
  CRITICAL_LOAD_AVG_THRESHOLD: { fallback: 40, min: 0, max: 1_000_000 },
  LOCK_LIMIT: count(5, 1, 10_000),
  LOCK_EXPIRATION: seconds(30),
  IPMI_AUTOSHUTDOWN_INTERVAL: seconds(300),
} satisfies Record<string, NumberRange>;

/** Without a default: no limit. */
export const minFreePercentage = { min: 0, max: 100 };

/** Without a default of its own: it follows from OPENQA_CACHE_MAX_INACTIVE_JOBS. */
export const maxInactiveJobsHardLimit = { min: -1, max: 1_000_000, whole: true } as const;

/** Numbers that only the environment sets. */
export const environmentNumbers = {
  OPENQA_WORKER_CONNECT_INTERVAL: seconds(10),
  OPENQA_WORKER_ACCEPT_ATTEMPTS: count(10, 0, 10_000),
  OPENQA_WORKER_EPHEMERAL_RECHECK_INTERVAL: seconds(10, 0.01),
  OPENQA_UPLOAD_DELAY: seconds(5),
  VNCPORT_OFFSET: count(90, 0, 65_535),
  OPENQA_BASE_PORT: count(9526, 1, 65_000),
  OPENQA_CACHE_MAX_INACTIVE_JOBS: count(5, -1, 1_000_000),
  OPENQA_CACHE_ATTEMPTS: count(60, 1, 10_000),
  OPENQA_CACHE_ATTEMPT_SLEEP_TIME: seconds(5),
  OPENQA_CACHE_SERVICE_POLL_DELAY: seconds(5, 0.01),
  OPENQA_WORKER_CACHE_SERVICE_CHECK_INACTIVITY_TIMEOUT: seconds(10, 0.01),
  OPENQA_CACHE_SERVICE_TEST_SYNC_ATTEMPTS: count(3, 1, 1000),
  OPENQA_RSYNC_TIMEOUT: seconds(1800, 1),
  OPENQA_RSYNC_RETRIES: count(3, 1, 1000),
  OPENQA_RSYNC_RETRY_PERIOD: seconds(3),
} satisfies Record<string, NumberRange>;

export const textKeys = [
  "HOST",
  "WORKER_CLASS",
  "WORKER_HOSTNAME",
  "ARCH",
  "CACHEDIRECTORY",
  "CACHESERVICEURL",
  "PACKAGES_CMD",
  "LOCK_NAME",
  "IPMI_HOSTNAME",
  "IPMI_USER",
  "IPMI_PASSWORD",
  "IPMI_OPTIONS",
  "LOG_DIR",
] as const;

export const switchKeys = ["LOCAL_UPLOAD", "TERMINATE_AFTER_JOBS_DONE", "PARALLEL_ONE_HOST_ONLY"] as const;

/** Keys whose values are never shown, in job settings (protocol 4.1 no. 5) as elsewhere. */
export function isSecretKey(name: string): boolean {
  return /_PASSWORD|^_SECRET_/i.test(name);
}
