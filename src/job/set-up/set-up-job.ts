// The set-up of a job, from its settings to the vars.json that isotovideo reads (protocol 4.1 to 4.3). Each step is a
// call into the module that does it; where assets and tests come from is decided here.
import type { Settings } from "../../config/settings.ts";
import type { Context, Program } from "../../context.ts";
import { errorText, SetupFailure } from "../../errors.ts";
import type { WebUi } from "../../webui/web-ui.ts";
import { jobTimeLimitMs } from "../deadlines.ts";
import type { Job } from "../job.ts";
import { describeSettings } from "../redact.ts";
import { assetsInShare, placeAssets } from "./assets.ts";
import { commandServerUrl, hostSettings, isotovideoSettings, type JobSettings } from "./job-settings.ts";
import { expandPlaceholders } from "./placeholders.ts";
import { placeJson } from "./pool-entries.ts";
import { runSyncAssetsHook } from "./sync-assets-hook.ts";
import { findTestRoot, placeTestDirectories } from "./test-directories.ts";

/** Of a text that goes into the reason: settings of any length are part of it. */
const maxFailureChars = 1000;

export interface SetUpInput {
  readonly job: Job;
  readonly webUi: Pick<WebUi, "host" | "workerId">;
  readonly settings: Settings;
  readonly program: Pick<Program, "env">;
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
  const { poolDirectory, projectDirectory } = settings;
  const { shareDirectory } = webUi.host;

  const jobSettings = hostSettings(job, settings, webUi);
  await placeJson(poolDirectory, "job.json", { ...job.received, settings: jobSettings });
  const expanded = expand(isotovideoSettings(jobSettings, settings, webUi), context);
  context.log.debug(`Job settings:\n${await describeSettings(expanded, context)}`);
  await syncAssets(input, jobSettings, context);

  const source = assetsInShare(shareDirectory);
  const testRoot = await findTestRoot(projectDirectory);
  const withAssets = await placeAssets(expanded, { source, poolDirectory }, context);
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

function expand(settings: JobSettings, { log }: Context): JobSettings {
  const { settings: expanded, error } = expandPlaceholders(settings);
  if (error !== undefined) log.error(`Expanding placeholders failed: Error: ${error}`);
  return expanded;
}

async function syncAssets(input: SetUpInput, jobSettings: JobSettings, context: Context): Promise<void> {
  const { SYNC_ASSETS_HOOK: command, OPENQA_HOSTNAME, QEMUPORT, VNC } = jobSettings;
  if (!command) return;
  const environment = {
    ...ownEnvironment(input.program.env),
    OPENQA_SHAREDIR: input.webUi.host.shareDirectory,
    ...(OPENQA_HOSTNAME !== undefined && { OPENQA_HOSTNAME }),
    ...(QEMUPORT !== undefined && { QEMUPORT }),
    ...(VNC !== undefined && { VNC }),
  };
  await runSyncAssetsHook({ command, poolDirectory: input.settings.poolDirectory, environment }, context);
}

/** Without what would change how a Bun executable behaves. */
function ownEnvironment(env: Program["env"]): Record<string, string> {
  const given = Object.entries(env).filter(([name]) => !name.startsWith("BUN_"));
  return Object.fromEntries(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
