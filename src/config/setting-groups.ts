// Settings that several keys make together, or one key in a way of its own (protocol 1.3).
import { resolve } from "node:path";
import { type LogLevel, logLevels } from "../ops/log.ts";
import {
  firstNumber,
  isOn,
  numberOf,
  textOf,
  toMilliseconds,
  type ValueSources,
  variable,
} from "./read-values.ts";
import type { Settings } from "./settings.ts";
import { byDefault, Sourced, type SourcedTree } from "./sourced.ts";
import { minFreePercentage } from "./stock-keys.ts";

/** Off without CACHEDIRECTORY. */
export function cacheOf(sources: ValueSources): SourcedTree<Settings["cache"]> {
  const { program, values, problems } = sources;
  const configured = textOf(values, "CACHEDIRECTORY");
  if (configured.value === undefined) return configured.map(() => undefined);
  const key = "CACHE_MIN_FREE_PERCENTAGE";
  const directory = variable(program, "OPENQA_CACHE_DIR") ?? new Sourced(configured.value, configured.origin);
  return {
    directory: directory.map((path) => resolve(program.cwd, path)),
    limitGib: numberOf("CACHELIMIT", sources),
    minFreePercentage:
      firstNumber(key, [values.get(key)], minFreePercentage, problems) ?? byDefault(undefined),
    workers: numberOf("CACHEWORKERS", sources),
    serviceUrl: textOf(values, "CACHESERVICEURL"),
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
