// Brings the test distributions of a web UI host up to date with rsync (protocol 6 "Test sync"). Never two at a time into
// one folder, whoever asks; how rsync is called is in rsync-call.ts.
import { lstat, mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { abortable } from "../../abortable.ts";
import type { TestSyncSettings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { CacheError, errorText, TestSyncError } from "../../errors.ts";
import { type LogEntry, Logger } from "../../ops/log.ts";
import { sleep } from "../../sleep.ts";
import { type CacheFolder, testsFolderName } from "../cache-folder.ts";
import { claim } from "../locks/claims.ts";
import { rsyncFlags, type TestSync } from "./rsync-call.ts";
import { runRsync } from "./run-rsync.ts";
import { type Shared, SharedWork } from "./shared-work.ts";

export interface SyncOptions {
  readonly folder: CacheFolder;
  readonly settings: TestSyncSettings;
  readonly lockRetryMs: number;
  /** For rsync; with the mark by which it is found. */
  readonly environment: Readonly<Record<string, string>>;
  /** Further options of rsync. */
  readonly rsyncOptions?: readonly string[];
  /** Of the output only the end is kept. */
  readonly maxOutputBytes?: number;
}

export interface SyncResult {
  /** What rsync wrote when it succeeded, without its progress. */
  readonly output: string;
}

interface Sharer {
  readonly log: Logger;
  readonly environment: SyncOptions["environment"];
}

/** Socket errors, partial transfers, vanished files: another round may do. */
const passingExitCodes: readonly number[] = [10, 23, 24];
const defaultMaxOutputBytes = 256 * 1024;
/** Beyond rsync's own time-out, which only looks at the connection. */
const silenceGraceMs = 60_000;

/** Syncs under way in this process: to be one for all slots it is nobody's own. */
const syncs = new SharedWork<Sharer, SyncResult>();

/**
 * Syncs; whoever asks for a sync that is under way shares it, with its log. Throws `CacheError`, when rsync has failed
 * with its output as cause, or the signal's reason when that is aborted: rsync is ended then unless others wait for it.
 */
export async function syncTests(
  sync: TestSync,
  options: SyncOptions,
  { signal, log }: Context,
): Promise<SyncResult> {
  const { settings, rsyncOptions, environment } = options;
  const flags = rsyncFlags(sync, { timeoutMs: settings.timeoutMs, options: rsyncOptions });
  return await syncs.join(JSON.stringify(flags), { log, environment }, signal, (shared) =>
    syncOnce(sync.hostDirectory, flags, options, shared),
  );
}

async function syncOnce(
  hostDirectory: string,
  flags: readonly string[],
  options: SyncOptions,
  { signal, sharers }: Shared<Sharer>,
): Promise<SyncResult> {
  const { folder, settings, lockRetryMs, maxOutputBytes = defaultMaxOutputBytes } = options;
  const context = { signal, log: logOfAll(sharers) };
  const target = await abortable(prepareTarget(hostDirectory), signal);
  await using _ = await claim(folder, target, { retryMs: lockRetryMs }, context);
  const maxSilenceMs = settings.timeoutMs + silenceGraceMs;
  const call = { flags, outputFolder: folder.partialFolder, maxOutputBytes, maxSilenceMs };
  for (let run = 1; ; run++) {
    signal.throwIfAborted();
    context.log.info(`Syncing tests: rsync ${flags.join(" ")}`);
    // Of one who is still there: whoever began it may have left, and then have ended all that carries his mark.
    const [sharer] = sharers;
    const end = await runRsync({ ...call, environment: { ...sharer?.environment } }, context);
    if (end.problem === undefined) {
      context.log.info("Finished to rsync tests");
      return { output: end.output };
    }
    if (end.isMissing || isLastRun(run, end.exitCode, settings))
      throw new TestSyncError(`Failed to rsync tests: ${end.problem}`, end.exitCode, { cause: end.output });
    context.log.warn(
      `Syncing tests failed: ${end.problem}, trying again in ${settings.retryDelayMs / 1000} s`,
    );
    await sleep(settings.retryDelayMs, signal);
  }
}

/** `run` counts from 1 over all rounds. */
function isLastRun(run: number, exitCode: number | undefined, { tries, rounds }: TestSyncSettings): boolean {
  const isWorthARound = exitCode !== undefined && passingExitCodes.includes(exitCode);
  return run % tries === 0 && (!isWorthARound || run >= tries * rounds);
}

function logOfAll(sharers: ReadonlySet<Sharer>): Logger {
  const pass = ({ level, text }: LogEntry) => {
    for (const { log } of sharers) log.write(level, text);
  };
  return new Logger([pass]);
}

/** Makes what is missing. Resolves with where it is, links on the way resolved. */
async function prepareTarget(hostDirectory: string): Promise<string> {
  const target = join(hostDirectory, testsFolderName);
  try {
    await mkdir(hostDirectory, { recursive: true });
    const stats = await lstat(target).catch(() => undefined);
    if (stats?.isSymbolicLink())
      throw new Error(
        "it is a symbolic link, and rsync --delete would empty what that leads to. Remove the link; to have the tests " +
          `elsewhere, make ${hostDirectory} a link or mount the other folder at ${target}`,
      );
    if (stats && !stats.isDirectory()) throw new Error("it is no folder: remove it");
    return join(await realpath(hostDirectory), testsFolderName);
  } catch (error) {
    throw new CacheError(`Cannot sync tests into ${target}: ${errorText(error)}`, { cause: error });
  }
}
