// `sync`: syncs the tests of web UI hosts now, and shows what that changes.
import { join } from "node:path";
import { Command } from "commander";
import { openCacheFolder } from "../src/cache/cache-folder.ts";
import { cacheHostName } from "../src/cache/host-name.ts";
import { rsyncIsMissing } from "../src/cache/sync/run-rsync.ts";
import { itemizeOptions, type SyncChange, syncChanges } from "../src/cache/sync/sync-changes.ts";
import { type SyncOptions, syncTests } from "../src/cache/sync/sync-tests.ts";
import type { Settings, WebUiHostSettings } from "../src/config/settings.ts";
import type { Context } from "../src/context.ts";
import { type ExitCode, errorText, exitCode, TestSyncError, UsageError } from "../src/errors.ts";
import { childEnvironment } from "../src/process/child-environment.ts";
import {
  type CacheOptions,
  type CacheWorkplace,
  cacheWorkplace,
  withCacheFlags,
} from "./cache/open-cache.ts";
import { currentProgram } from "./program.ts";
import { startSpinner } from "./spinner.ts";

/** Some hundred thousand lines: beyond that the first changes are not shown. */
const maxOutputBytes = 32 * 1024 * 1024;
/** Of what rsync wrote when it failed. */
const maxFailureLines = 20;

type SyncFlags = CacheOptions & { readonly json: boolean; readonly dryRun: boolean };
type Result = { readonly host: string; readonly directory: string } & Outcome;
type Outcome = { readonly changes: readonly SyncChange[] } | { readonly error: string };

export function create(finish: (code: ExitCode) => void): Command {
  return withCacheFlags(new Command("sync"))
    .description(
      "Syncs tests from TESTPOOLSERVER into the cache directory, as for a job, and prints what has changed.",
    )
    .argument("[host]", "entry of HOST in workers.ini (default: all that have TESTPOOLSERVER, in turn)")
    .option("-n, --dry-run", "change nothing: print what would be changed", false)
    .option(
      "--json",
      "print JSON: a list of {host, directory, changes: [{kind, path}]} or {.., error}",
      false,
    )
    .action(async (host: string | undefined, flags: SyncFlags) => {
      const place = await cacheWorkplace(flags);
      const hosts = hostsToSync(place.settings, host);
      const options = await syncOptions(place, flags);
      const results: Result[] = [];
      for (const one of hosts) {
        const result = await sync(one, place.cacheSettings.testsDirectory, options, place.context);
        if (!flags.json && "changes" in result) console.log(described(result, flags.dryRun));
        results.push(result);
      }
      if (flags.json) console.log(JSON.stringify(results));
      finish(results.some((result) => "error" in result) ? exitCode.failed : exitCode.done);
    });
}

type SyncableHost = WebUiHostSettings & { readonly testPoolServer: string };

/** Throws `UsageError` when there is nothing to sync. */
function hostsToSync({ hosts, ignoredHosts }: Settings, wanted: string | undefined): readonly SyncableHost[] {
  const ignored = ignoredHosts.find(({ name }) => name === wanted);
  if (ignored) throw new UsageError(ignored.reason);
  const named = hosts.filter(({ name }) => wanted === undefined || name === wanted);
  if (named.length === 0) {
    const known = hosts.map(({ name }) => name).join(", ") || "none";
    throw new UsageError(
      `no web UI host to sync${wanted === undefined ? "" : ` "${wanted}"`}: HOST has ${known}`,
    );
  }
  const syncable = named.flatMap((host) =>
    host.testPoolServer === undefined ? [] : [{ ...host, testPoolServer: host.testPoolServer }],
  );
  if (syncable.length > 0) return syncable;
  const names = named.map(({ name }) => name).join(", ");
  throw new UsageError(
    `no tests to sync for ${names}: set TESTPOOLSERVER in the host's section of workers.ini`,
  );
}

async function syncOptions(place: CacheWorkplace, { dryRun }: SyncFlags): Promise<SyncOptions> {
  const { settings, cacheSettings } = place;
  const program = currentProgram();
  if (Bun.which("rsync", { PATH: program.env["PATH"] ?? "" }) === null) throw new UsageError(rsyncIsMissing);
  return {
    folder: await openCacheFolder(cacheSettings.directory),
    settings: cacheSettings.sync,
    lockRetryMs: settings.own.cache.lockRetryMs,
    environment: childEnvironment(program),
    rsyncOptions: [...itemizeOptions, ...(dryRun ? ["--dry-run"] : [])],
    maxOutputBytes,
  };
}

/** Says on stderr how it goes. Throws the signal's reason when that is aborted. */
async function sync(
  { name, testPoolServer }: SyncableHost,
  testsDirectory: string,
  options: SyncOptions,
  context: Context,
): Promise<Result> {
  const hostDirectory = join(testsDirectory, cacheHostName(name));
  const result = { host: name, directory: join(hostDirectory, "tests") };
  const spinner = await startSpinner(`Syncing tests of ${name} from ${testPoolServer}`);
  try {
    const { output } = await syncTests({ source: testPoolServer, hostDirectory }, options, context);
    spinner.stop();
    return { ...result, changes: syncChanges(output) };
  } catch (error) {
    spinner.stop();
    context.signal.throwIfAborted();
    const said =
      error instanceof TestSyncError && typeof error.cause === "string" ? error.cause.split("\n") : [];
    const lines = [...said.slice(-maxFailureLines), `openqa-worker: ${name}: ${errorText(error)}`];
    console.error(lines.join("\n"));
    return { ...result, error: errorText(error) };
  }
}

function described(
  { host, directory, changes }: { host: string; directory: string; changes: readonly SyncChange[] },
  isDryRun: boolean,
): string {
  if (changes.length === 0) return `${host}: ${directory} is up to date`;
  const count = (kind: SyncChange["kind"]) => changes.filter((change) => change.kind === kind).length;
  const counts = `${count("new")} new, ${count("changed")} changed, ${count("deleted")} deleted`;
  const lines = changes.map(({ kind, path }) => `  ${kind.padEnd("changed".length)} ${path}`);
  return [`${host}: ${directory} ${isDryRun ? "would have" : "has"} ${counts}:`, ...lines].join("\n");
}
