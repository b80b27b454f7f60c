// The set-up of a job, from its settings to the vars.json that isotovideo reads (protocol 4.1 to 4.3). Each step is a
// call into the module that does it; where assets and tests come from is decided here.
import { allOrFail } from "../../abortable.ts";
import type { AssetCaches } from "../../cache/worker/asset-caches.ts";
import { chooseWorkerCache } from "../../cache/worker/choose-worker-cache.ts";
import type { CacheUser, WorkerCache } from "../../cache/worker/worker-cache.ts";
import type { Settings } from "../../config/settings.ts";
import type { Context, Program } from "../../context.ts";
import { errorText, SetupFailure } from "../../errors.ts";
import { jobMark } from "../../isotovideo/pool-state.ts";
import type { LogSink } from "../../ops/log.ts";
import { childEnvironment } from "../../process/child-environment.ts";
import type { WebUi } from "../../webui/web-ui.ts";
import { jobTimeLimitMs } from "../deadlines.ts";
import type { Job } from "../job.ts";
import { describeSettings } from "../redact.ts";
import { type AssetSource, assetsInShare, type FoundAsset, findAssets, placeAssets } from "./assets.ts";
import { asSetupFailure, assetsInCache } from "./cached-assets.ts";
import { commandServerUrl, hostSettings, isotovideoSettings, type JobSettings } from "./job-settings.ts";
import { expandPlaceholders } from "./placeholders.ts";
import { placeJson } from "./pool-entries.ts";
import { tellingSetUp } from "./setup-status.ts";
import { runSyncAssetsHook } from "./sync-assets-hook.ts";
import { findTestRoot, placeTestDirectories, reliesOnGitOnly } from "./test-directories.ts";

/** Of a text that goes into the reason: settings of any length are part of it. */
const maxFailureChars = 1000;

export interface SetUpInput {
  readonly job: Job;
  readonly webUi: WebUi;
  readonly settings: Settings;
  readonly program: Pick<Program, "env">;
  readonly caches: AssetCaches;
  /** Takes what has to be kept until the job has ended. */
  readonly held: AsyncDisposableStack;
  /** Takes what downloads and test sync say, beside the context's log (protocol 4.4). */
  readonly autoinstSink: LogSink;
}

export interface PreparedJob {
  /** What vars.json has. */
  readonly vars: JobSettings;
  /** What job.json has, placeholders not expanded: commands are taken from these. */
  readonly jobSettings: JobSettings;
  /** MAX_JOB_TIME; `Infinity`: no limit. */
  readonly maxJobTimeMs: number;
  readonly commandServerUrl: string;
}

/** Throws `SetupFailure`, or the signal's reason when aborted. A failed set-up leaves no vars.json. */
export async function setUpJob(input: SetUpInput, context: Context): Promise<PreparedJob> {
  try {
    return await prepare(input, context);
  } catch (error) {
    context.signal.throwIfAborted();
    const category = error instanceof SetupFailure ? error.category : "setup failure";
    throw new SetupFailure(category, errorText(error).slice(0, maxFailureChars), { cause: error });
  }
}

async function prepare(input: SetUpInput, context: Context): Promise<PreparedJob> {
  const { job, settings, webUi } = input;
  const { poolDirectory } = settings;
  const { shareDirectory } = webUi.host;

  const jobSettings = hostSettings(job, settings, webUi);
  await placeJson(poolDirectory, "job.json", { ...job.received, settings: jobSettings });
  const expanded = expand(isotovideoSettings(jobSettings, settings, webUi), context);
  context.log.debug(`Job settings:\n${await describeSettings(expanded, context)}`);
  await syncAssets(input, jobSettings, context);

  const { assets, isAlwaysLinked, testRoot } = await findAll(input, expanded, context);
  const withAssets = await placeAssets(expanded, assets, { isAlwaysLinked, poolDirectory }, context);
  const withTests = await placeTestDirectories(withAssets, { testRoot, poolDirectory }, context);
  const vars = { ASSETDIR: `${shareDirectory}/factory`, ...withTests };
  context.signal.throwIfAborted();
  await placeJson(poolDirectory, "vars.json", vars);
  return {
    vars,
    jobSettings,
    maxJobTimeMs: jobTimeLimitMs(jobSettings),
    commandServerUrl: commandServerUrl(jobSettings),
  };
}

interface Found {
  readonly assets: readonly FoundAsset[];
  readonly isAlwaysLinked: boolean;
  readonly testRoot: string;
}

/** Assets and tests side by side. An error of an asset wins over one of the tests. */
async function findAll(input: SetUpInput, jobSettings: JobSettings, context: Context): Promise<Found> {
  const log = input.settings.cache ? context.log.also(input.autoinstSink) : context.log;
  const find = async () => {
    const { source, findTests } = await findSources(input, jobSettings, context);
    const findings = [(inner: Context) => findAssets(jobSettings, source, inner), findTests] as const;
    const [assets, testRoot] = await allOrFail(findings, { ...context, log });
    return { assets, testRoot, isAlwaysLinked: source.isAlwaysLinked };
  };
  return input.settings.cache ? await tellingSetUp(input.webUi, input.job.id, context, find) : await find();
}

interface Sources {
  readonly source: AssetSource;
  /** Resolves with the folder of the test distributions. */
  readonly findTests: (context: Context) => Promise<string>;
}

/** Where assets and tests come from: the share directory, or with caching the web UI and its rsync server. */
async function findSources(input: SetUpInput, jobSettings: JobSettings, context: Context): Promise<Sources> {
  const { job, settings, webUi, caches, held } = input;
  const findInProject = () => findTestRoot(settings.projectDirectory);
  if (!settings.cache)
    return { source: assetsInShare(webUi.host.shareDirectory, jobSettings), findTests: findInProject };
  const cache = await chooseWorkerCache(
    { settings: settings.cache, own: settings.own, caches },
    context,
  ).catch((error) => {
    throw asSetupFailure(error);
  });
  const user = cacheUser(input);
  const { testPoolServer } = webUi.host;
  const isSynced = testPoolServer !== undefined && !reliesOnGitOnly(jobSettings);
  return {
    source: assetsInCache({ cache, user, jobId: job.id, jobSettings, held }),
    findTests: isSynced ? (inner) => syncTests(cache, testPoolServer, user, inner) : findInProject,
  };
}

async function syncTests(
  cache: WorkerCache,
  testPoolServer: string,
  user: CacheUser,
  context: Context,
): Promise<string> {
  try {
    return await cache.syncTests(testPoolServer, user, context);
  } catch (error) {
    context.signal.throwIfAborted();
    throw asSetupFailure(error);
  }
}

function cacheUser({ job, settings, webUi, program }: SetUpInput): CacheUser {
  return {
    host: webUi.host.name,
    url: webUi.url,
    credentials: webUi.host.credentials,
    holder: `slot ${settings.instance}, job ${job.id}`,
    environment: { ...childEnvironment(program), ...jobMark(settings.poolDirectory, "rsync") },
  };
}

function expand(settings: JobSettings, { log }: Context): JobSettings {
  const { settings: expanded, error } = expandPlaceholders(settings);
  if (error !== undefined) log.error(`Expanding placeholders failed: Error: ${error}`);
  return expanded;
}

async function syncAssets(input: SetUpInput, jobSettings: JobSettings, context: Context): Promise<void> {
  const { SYNC_ASSETS_HOOK: command, OPENQA_HOSTNAME, QEMUPORT, VNC } = jobSettings;
  if (!command) return;
  const environment = {
    ...childEnvironment(input.program),
    OPENQA_SHAREDIR: input.webUi.host.shareDirectory,
    ...(OPENQA_HOSTNAME !== undefined && { OPENQA_HOSTNAME }),
    ...(QEMUPORT !== undefined && { QEMUPORT }),
    ...(VNC !== undefined && { VNC }),
  };
  await runSyncAssetsHook({ command, poolDirectory: input.settings.poolDirectory, environment }, context);
}
