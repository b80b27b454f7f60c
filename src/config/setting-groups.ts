// Settings that several keys make together, or one key in a way of its own (protocol 1.3).
import { resolve } from "node:path";
import { type LogLevel, logLevels } from "../ops/log.ts";
import {
  environmentNumber,
  firstNumber,
  isOn,
  numberOf,
  textOf,
  toMilliseconds,
  type ValueSources,
  variable,
} from "./read-values.ts";
import type { CacheServiceSettings, Settings } from "./settings.ts";
import { byDefault, Sourced, type SourcedTree } from "./sourced.ts";
import { maxInactiveJobsHardLimit, minFreePercentage } from "./stock-keys.ts";

/** In place of CACHEDIRECTORY, for the subcommands that work on a cache. */
export const cacheDirectoryFlag = "--directory";

/** How far above the base port the cache service listens (protocol 1.3). */
const cacheServicePortDelta = 4;
/** What a job may wait for beyond what keeps a slot from taking it. */
const furtherWaitingOfJob = 40;

/** Off without CACHEDIRECTORY. */
export function cacheOf(sources: ValueSources): SourcedTree<Settings["cache"]> {
  const { program, values, problems } = sources;
  const configured = textOf(values, "CACHEDIRECTORY");
  if (configured.value === undefined) return configured.map(() => undefined);
  const key = "CACHE_MIN_FREE_PERCENTAGE";
  const testsDirectory = new Sourced(resolve(program.cwd, configured.value), configured.origin);
  // A flag wins over the environment, which wins over the files.
  const fromEnvironment =
    configured.origin === cacheDirectoryFlag ? undefined : variable(program, "OPENQA_CACHE_DIR");
  return {
    directory: fromEnvironment?.map((path) => resolve(program.cwd, path)) ?? testsDirectory,
    testsDirectory,
    limitGib: numberOf("CACHELIMIT", sources),
    minFreePercentage:
      firstNumber(key, [values.get(key)], minFreePercentage, problems) ?? byDefault(undefined),
    workers: numberOf("CACHEWORKERS", sources),
    ...waitingLimits(sources),
    service: cacheServiceOf(sources),
    sync: {
      timeoutMs: environmentNumber("OPENQA_RSYNC_TIMEOUT", sources).map(toMilliseconds),
      tries: environmentNumber("OPENQA_RSYNC_RETRIES", sources),
      retryDelayMs: environmentNumber("OPENQA_RSYNC_RETRY_PERIOD", sources).map(toMilliseconds),
      rounds: environmentNumber("OPENQA_CACHE_SERVICE_TEST_SYNC_ATTEMPTS", sources),
    },
  };
}

function waitingLimits(sources: ValueSources) {
  const maxWaiting = environmentNumber("OPENQA_CACHE_MAX_INACTIVE_JOBS", sources);
  const key = "OPENQA_CACHE_MAX_INACTIVE_JOBS_HARD_LIMIT";
  const given = [variable(sources.program, key)];
  const hardLimit = firstNumber(key, given, maxInactiveJobsHardLimit, sources.problems);
  return {
    maxWaiting: maxWaiting.map(unlimitedIfNegative),
    maxWaitingOfJob: (
      hardLimit ?? maxWaiting.map((limit) => (limit < 0 ? limit : limit + furtherWaitingOfJob))
    ).map(unlimitedIfNegative),
  };
}

function unlimitedIfNegative(limit: number): number {
  return limit < 0 ? Number.POSITIVE_INFINITY : limit;
}

function cacheServiceOf(sources: ValueSources): SourcedTree<CacheServiceSettings> {
  const inMs = (name: Parameters<typeof environmentNumber>[0]) =>
    environmentNumber(name, sources).map(toMilliseconds);
  return {
    url: textOf(sources.values, "CACHESERVICEURL"),
    localUrl: environmentNumber("OPENQA_BASE_PORT", sources).map(
      (port) => `http://127.0.0.1:${port + cacheServicePortDelta}`,
    ),
    tries: environmentNumber("OPENQA_CACHE_ATTEMPTS", sources),
    retryDelayMs: inMs("OPENQA_CACHE_ATTEMPT_SLEEP_TIME"),
    pollIntervalMs: inMs("OPENQA_CACHE_SERVICE_POLL_DELAY"),
    checkTimeoutMs: inMs("OPENQA_WORKER_CACHE_SERVICE_CHECK_INACTIVITY_TIMEOUT"),
  };
}

/** Off without LOCK_NAME. */
export function throttleOf(sources: ValueSources): SourcedTree<Settings["throttle"]> {
  const name = textOf(sources.values, "LOCK_NAME");
  if (name.value === undefined) return name.map(() => undefined);
  return {
    name: new Sourced(name.value, name.origin),
    limit: numberOf("LOCK_LIMIT", sources),
    expirationMs: numberOf("LOCK_EXPIRATION", sources).map(toMilliseconds),
  };
}

/** Undefined when a part is missing or the interval is 0: nothing but the shutdown uses it. */
export function ipmiOf(sources: ValueSources): SourcedTree<Settings["ipmi"]> {
  const { values } = sources;
  const shutdownIntervalMs = numberOf("IPMI_AUTOSHUTDOWN_INTERVAL", sources).map(toMilliseconds);
  const [hostname, user, password] = ["HOSTNAME", "USER", "PASSWORD"].map((part) => {
    const value = values.get(`IPMI_${part}`);
    return value && isOn(value.value) ? value : undefined;
  });
  if (!hostname || !user || !password) return byDefault(undefined);
  if (shutdownIntervalMs.value === 0) return shutdownIntervalMs.map(() => undefined);
  return {
    hostname,
    user,
    password,
    options: values.get("IPMI_OPTIONS") ?? byDefault("-I lanplus"),
    shutdownIntervalMs,
  };
}

export function logLevelOf({ values, problems }: ValueSources): Sourced<LogLevel> {
  const given = values.get("LOG_LEVEL");
  if (!given?.value) return byDefault("info");
  const level = logLevels.find((known) => known === given.value.toLowerCase());
  if (level !== undefined) return given.map(() => level);
  problems.push(
    `${given.origin}: LOG_LEVEL is "${given.value}", expected ${logLevels.join(", ")}; the default info is used`,
  );
  return byDefault("info");
}
