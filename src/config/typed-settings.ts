// What the layered texts mean: the tree of typed values that Settings is made of, each with its origin. Defaults of
// the stock worker are here and in stock-keys.ts (protocol 1.3).
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Program } from "../context.ts";
import { UsageError } from "../errors.ts";
import type { StockFlags } from "./flags.ts";
import type { IniFile } from "./ini.ts";
import { ownSettings } from "./own-settings.ts";
import {
  environmentNumber,
  isOn,
  numberOf,
  switchOf,
  textOf,
  toMilliseconds,
  variable,
} from "./read-values.ts";
import { cacheOf, ipmiOf, logLevelOf, throttleOf } from "./setting-groups.ts";
import type { Settings } from "./settings.ts";
import { byDefault, Sourced, type SourcedTree, type Values } from "./sourced.ts";
import type { environmentNumbers, numberKeys } from "./stock-keys.ts";
import { webUiHosts } from "./web-ui-hosts.ts";
import type { WorkersIni } from "./workers-ini.ts";

/** Everything that Settings follows from. `problems` is added to. */
export interface Layers {
  readonly instance: Sourced<number>;
  readonly flags: StockFlags;
  readonly program: Program;
  readonly isotovideo: Sourced<Settings["isotovideo"]>;
  readonly workersIni: WorkersIni;
  readonly clientConf: readonly IniFile[];
  /** Stock keys for the worker. */
  readonly values: Values;
  readonly jobSettings: Values;
  /** By "table.key". */
  readonly own: ReadonlyMap<string, Sourced<number>>;
  readonly problems: string[];
}

/** What of Settings has an origin. */
export type SettingValues = Omit<Settings, "problems" | "origins">;

const defaultIsotovideo = "/usr/bin/isotovideo";

export async function settingsTree(layers: Layers): Promise<SourcedTree<SettingValues>> {
  const { program, values, flags, isotovideo } = layers;
  const number = (key: keyof typeof numberKeys) => numberOf(key, layers);
  const delayMs = (key: keyof typeof numberKeys) => numberOf(key, layers).map(toMilliseconds);
  const environmentDelayMs = (name: keyof typeof environmentNumbers) =>
    environmentNumber(name, layers).map(toMilliseconds);
  const folders = projectFolders(layers);
  return {
    instance: layers.instance,
    ...(await hostsOf(layers, folders.projectDirectory)),
    workerClass: textOf(values, "WORKER_CLASS"),
    workerHostname: textOf(values, "WORKER_HOSTNAME"),
    arch: textOf(values, "ARCH"),
    ...folders,
    cache: cacheOf(layers),
    upload: {
      local: switchOf(values, "LOCAL_UPLOAD", true),
      chunkBytes: number("UPLOAD_CHUNK_SIZE"),
      chunkTries: number("UPLOAD_RETRIES").map(atLeastOne),
      firstChunkRetryDelayMs: environmentDelayMs("OPENQA_UPLOAD_DELAY"),
    },
    statusMinIntervalMs: delayMs("STATUS_MIN_INTERVAL"),
    statusMaxIntervalMs: delayMs("STATUS_MAX_INTERVAL"),
    connectIntervalMs: environmentDelayMs("OPENQA_WORKER_CONNECT_INTERVAL"),
    acceptAttempts: environmentNumber("OPENQA_WORKER_ACCEPT_ATTEMPTS", layers).map(atLeastOne),
    restTries: number("RETRIES").map(atLeastOne),
    terminateAfterJobsDone: switchOf(values, "TERMINATE_AFTER_JOBS_DONE", false),
    packagesCommand: textOf(values, "PACKAGES_CMD"),
    parallelOneHostOnly: values.get("PARALLEL_ONE_HOST_ONLY") ?? byDefault(undefined),
    criticalLoadAverage: number("CRITICAL_LOAD_AVG_THRESHOLD"),
    loadAverageFile: variable(program, "OPENQA_LOAD_AVG_FILE") ?? byDefault("/proc/loadavg"),
    ephemeralRecheckIntervalMs: environmentDelayMs("OPENQA_WORKER_EPHEMERAL_RECHECK_INTERVAL"),
    throttle: throttleOf(layers),
    ipmi: ipmiOf(layers),
    logLevel: logLevelOf(layers),
    logDirectory: textOf(values, "LOG_DIR").map((path) => path && resolve(program.cwd, path)),
    logFile: variable(program, "OPENQA_LOGFILE") ?? byDefault(undefined),
    isotovideo: {
      path: isotovideo.map(({ path }) => path),
      isExplicit: isotovideo.map((one) => one.isExplicit),
    },
    cleansPool: flags.cleanup ? byDefault(true) : new Sourced(false, "--no-cleanup"),
    vncPortOffset: environmentNumber("VNCPORT_OFFSET", layers),
    ovsDbusService:
      variable(program, "OVS_DBUS_SERVICE_NAME") ?? byDefault("org.opensuse.os_autoinst.switch"),
    cgroupSlice: variable(program, "OPENQA_CGROUP_SLICE") ?? byDefault(undefined),
    jobSettings: Object.fromEntries(layers.jobSettings),
    own: ownSettings(layers.own, program.env),
  };
}

/** Throws `UsageError` for a given path that is no file. The default one is not looked at. */
export async function isotovideoPath(
  { isotovideo }: StockFlags,
  { cwd }: Program,
): Promise<Sourced<Settings["isotovideo"]>> {
  if (isotovideo === undefined) return byDefault({ path: defaultIsotovideo, isExplicit: false });
  const path = resolve(cwd, isotovideo);
  const isFile = await stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
  if (!isFile) throw new UsageError(`Path to isotovideo invalid: ${isotovideo}`);
  return new Sourced({ path, isExplicit: true }, "--isotovideo");
}

async function hostsOf(layers: Layers, projectDirectory: Sourced<string>) {
  const { flags, program, values } = layers;
  const flag = (name: "host" | "apikey" | "apisecret") =>
    flags[name] ? new Sourced(flags[name], `--${name}`) : undefined;
  const configured = values.get("HOST");
  const list = flag("host") ?? (configured && isOn(configured.value) ? configured : byDefault("localhost"));
  return webUiHosts(list, {
    ...layers,
    cwd: program.cwd,
    projectDirectory,
    key: flag("apikey") ?? variable(program, "OPENQA_API_KEY"),
    secret: flag("apisecret") ?? variable(program, "OPENQA_API_SECRET"),
  });
}

function projectFolders({ instance, program }: Layers) {
  const projectDirectory = (variable(program, "OPENQA_BASEDIR") ?? byDefault("/var/lib")).map((base) =>
    resolve(program.cwd, base, "openqa"),
  );
  const poolDirectory = projectDirectory.map((directory) => `${directory}/pool/${instance.value}`);
  const stateDirectory = projectDirectory.map((directory) => `${directory}/pool/.openqa-worker`);
  return { projectDirectory, poolDirectory, stateDirectory };
}

function atLeastOne(tries: number): number {
  return Math.max(1, tries);
}
