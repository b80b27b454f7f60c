// From configuration files, environment and flags to the Settings of one slot (protocol 1). Reads files and layers
// them; what the layers mean is in typed-settings.ts.
import type { Program } from "../context.ts";
import { UsageError } from "../errors.ts";
import { type ConfigText, readConfigFiles, systemConfigDirectories } from "./config-files.ts";
import type { StockFlags } from "./flags.ts";
import { type IniFile, parseIni } from "./ini.ts";
import { variable } from "./read-values.ts";
import { cacheDirectoryFlag } from "./setting-groups.ts";
import type { Settings } from "./settings.ts";

import { byDefault, partTree, Sourced, type Values } from "./sourced.ts";
import { numberKeys } from "./stock-keys.ts";
import { isotovideoPath, type SettingValues, settingsTree } from "./typed-settings.ts";
import { parseWorkerToml, type WorkerToml } from "./worker-toml.ts";
import { mergeFiles, slotValues } from "./workers-ini.ts";

export interface SettingsSources {
  readonly instance: number;
  readonly flags: StockFlags;
  readonly program: Program;
  /** Where the system's configuration is; tests have their own. */
  readonly system?: readonly string[];
}

/**
 * Faulty INI files and unusable values are left out, with a line in `problems`. Throws `UsageError` for errors in
 * openqa-worker.toml and in variables of our own, and for a path of isotovideo that is given but no file.
 */
export async function loadSettings(sources: SettingsSources): Promise<Settings> {
  const { instance, flags, program, system = systemConfigDirectories } = sources;
  const [workers, client, own] = await Promise.all([
    readConfigFiles("workers.ini", { program, system }),
    readConfigFiles("client.conf", { program, system, inHome: true }),
    readConfigFiles("openqa-worker.toml", { program, system }),
  ]);
  if (own.problems.length > 0) throw new UsageError(own.problems.join("\n"));
  const problems = [...workers.problems, ...client.problems];
  if (workers.files.length + own.files.length === 0) {
    problems.push("workers.ini not found, using default settings");
  }
  const workersIni = mergeFiles(parseIniFiles(workers.files, problems));
  const clientConf = parseIniFiles(client.files, problems);
  const toml = layToml(own.files.map(parseWorkerToml));
  const fromIni = slotValues(workersIni, instance);
  const overrides = overridesOf(sources);

  const tree = await settingsTree({
    instance: new Sourced(instance, flags.instance === undefined ? "default" : "--instance"),
    flags,
    program,
    isotovideo: await isotovideoPath(flags, program),
    workersIni,
    clientConf,
    values: new Map([...fromIni, ...toml.worker, ...overrides]),
    jobSettings: jobSettings(fromIni, toml.jobSettings, overrides),
    own: toml.own,
    problems,
  });
  const { value, origins } = partTree<SettingValues>(tree);
  return Object.freeze({ ...value, problems: Object.freeze([...new Set(problems)]), origins });
}

function parseIniFiles(files: readonly ConfigText[], problems: string[]): IniFile[] {
  return files.map(({ path, text }) => {
    const file = parseIni(text, path);
    problems.push(...file.problems);
    return file;
  });
}

function layToml(files: readonly WorkerToml[]): WorkerToml {
  return {
    worker: new Map(files.flatMap((file) => [...file.worker])),
    jobSettings: new Map(files.flatMap((file) => [...file.jobSettings])),
    own: new Map(files.flatMap((file) => [...file.own])),
  };
}

/** Environment and flags as stock keys, for the worker and for jobs alike (protocol 1.3, steps 4 and 5). */
function overridesOf({ flags, program }: SettingsSources): Values {
  const overrides = new Map<string, Sourced<string>>();
  for (const key of ["LOG_DIR", "TERMINATE_AFTER_JOBS_DONE"]) {
    const value = variable(program, `OPENQA_WORKER_${key}`);
    if (value !== undefined) overrides.set(key, value);
  }
  if (flags.cacheDirectory !== undefined)
    overrides.set("CACHEDIRECTORY", new Sourced(flags.cacheDirectory, cacheDirectoryFlag));
  if (flags.verbose) overrides.set("LOG_LEVEL", new Sourced("debug", "--verbose"));
  return overrides;
}

/** What is merged into every job: everything but HOST, and some defaults. WORKER_HOSTNAME's is up to others. */
function jobSettings(fromIni: Values, fromToml: Values, overrides: Values): Values {
  const defaults = (["CRITICAL_LOAD_AVG_THRESHOLD", "RETRY_DELAY", "RETRY_DELAY_IF_WEBUI_BUSY"] as const).map(
    (key) => [key, byDefault(String(numberKeys[key].fallback))] as const,
  );
  const configured = [...fromIni].filter(([key]) => key !== "HOST");
  return new Map([...defaults, ...configured, ...fromToml, ...overrides]);
}
