// The daemon: runs all slots of a host in one process until it is told to stop. What differs between slots goes by
// parameter; a fault in one of them is its own affair.
import { AssetCaches } from "./cache/worker/asset-caches.ts";
import type { Settings } from "./config/settings.ts";
import type { Context, Program } from "./context.ts";
import { type ExitCode, errorText, exitCode, UsageError } from "./errors.ts";
import { jobMark } from "./isotovideo/pool-state.ts";
import { flushOpenFiles } from "./ops/appended-file.ts";
import { EventLoopLag } from "./ops/event-loop-lag.ts";
import { lagText } from "./ops/lag-histogram.ts";
import { Logger } from "./ops/log.ts";
import { PictureOptimiser } from "./pictures/picture-optimiser.ts";
import { pictureProcessEnvironment } from "./pictures/picture-process-environment.ts";
import { childEnvironment } from "./process/child-environment.ts";
import { ownCommand } from "./process/own-command.ts";
import { releaseCodePages } from "./process/release-memory.ts";
import { becomeSubreaper } from "./process/subreaper.ts";
import { sleep } from "./sleep.ts";
import { describeSetup } from "./slot/describe-setup.ts";
import { findHostFacts, registrationOf } from "./slot/host-facts.ts";
import { findPackages } from "./slot/package-list.ts";
import { type RunSlotOptions, runSlot } from "./slot/run-slot.ts";
import { openSlotLog, stdoutSink } from "./slot/slot-log.ts";
import { StopRequests } from "./stop-requests.ts";

/** Runs until every slot has ended. Throws `UsageError` when there is nothing to run. */
export async function runDaemon(slots: readonly Settings[], program: Program): Promise<ExitCode> {
  const [first] = slots;
  if (first === undefined) throw new UsageError("no slot to run");
  const log = new Logger([stdoutSink(first.logLevel)]);
  const stops = new StopRequests(first.own.stop.totalMs, log, exitSoon);
  stops.listen();
  const faults = stopAtFaults(stops, log);
  becomeSubreaper();
  // Before anything runs: a log that cannot be written is a matter of the set-up.
  const logs = await Promise.all(slots.map((settings) => openSlotLog(settings, program)));
  const facts = await findHostFacts(first, program, { signal: stops.signals.stop, log }).catch(
    ifNotStopped(stops),
  );
  if (facts === undefined) return exitCode.done;
  const packages = await findAllPackages(slots, program, { signal: stops.signals.stop, log });
  if (packages === undefined) return exitCode.done;
  const rest = restLater(log);
  const lag = lagOf(log);
  await using caches = new AssetCaches();
  await using optimiser = pictureOptimiser(first, program, log);
  const running = slots.map(async (settings, index) => {
    const slotLog = logs[index]?.log ?? log;
    describeSetup(settings, registrationOf(settings, facts).workerClass, slotLog);
    if (settings.hosts.length === 0) return false;
    return await keepRunning({
      settings,
      program,
      caches,
      optimiser,
      lag,
      facts,
      packages: packages.get(settings.packagesCommand),
      stops: stops.signals,
      log: slotLog,
      rest,
    });
  });
  const ran = await Promise.all(running);
  const late = lag.summary();
  if (late) log.info(lagText(late));
  await Promise.all(logs.map((each) => each.close()));
  if (!ran.includes(true)) throw new UsageError("no slot can run, the log says why");
  return faults.hasOccurred ? exitCode.failed : exitCode.done;
}

/** Its process is none of a job's: those who end these leave it alone. */
function pictureOptimiser({ own }: Settings, program: Program, log: Logger): PictureOptimiser {
  const environment = {
    ...childEnvironment(program),
    ...pictureProcessEnvironment,
    ...jobMark("host", "pictures"),
  };
  return new PictureOptimiser(
    { settings: own.pictures, command: ownCommand("__pictures"), environment },
    log,
  );
}

/** Recorded while there are jobs. */
function lagOf(log: Logger): EventLoopLag {
  return new EventLoopLag({
    onBlocked: (lagMs, cpuMs) => {
      const stood = `The event loop stood still for ${lagMs.toFixed(0)} ms, in which this process computed`;
      log.warn(`${stood} for ${cpuMs.toFixed(0)} ms: with much less than that, the host is overloaded`);
    },
  });
}

/** For the last lines of logs to be written: a disk may hang. */
const lastLinesMs = 500;

function exitSoon(code: ExitCode): void {
  void flushOpenFiles(lastLinesMs).finally(() => process.exit(code));
}

/** By PACKAGES_CMD: slots mostly have the same, which runs once. Undefined: told to stop meanwhile. */
async function findAllPackages(
  slots: readonly Settings[],
  program: Program,
  context: Context,
): Promise<ReadonlyMap<string | undefined, string> | undefined> {
  const packages = new Map<string | undefined, string>();
  const commands = new Set(slots.flatMap(({ packagesCommand }) => packagesCommand ?? []));
  try {
    for (const command of commands) packages.set(command, await findPackages(command, program, context));
    return packages;
  } catch (error) {
    if (!context.signal.aborted) throw error;
    return undefined;
  }
}

/** Whatever nobody has caught leaves the process unsound: all jobs are ended and reported, then it exits. */
function stopAtFaults(stops: StopRequests, log: Logger): { readonly hasOccurred: boolean } {
  const faults = { hasOccurred: false };
  for (const event of ["uncaughtException", "unhandledRejection"] as const)
    process.on(event, (error: unknown) => {
      log.error(`Internal error: ${error instanceof Error ? error.stack : errorText(error)}`);
      faults.hasOccurred = true;
      stops.fault();
    });
  return faults;
}

/** For work that the request to stop aborts: then it has no result. */
function ifNotStopped({ signals: { stop } }: StopRequests): (error: unknown) => undefined {
  return (error) => {
    if (!stop.aborted) throw error;
  };
}

/** Wait after a slot has come to rest: what comes back soon, as the next job of a busy slot does, is not given away. */
const restDelayMs = 5000;

/** To be called whenever a slot has nothing to do for now. */
function restLater(log: Logger): () => void {
  let timer: NodeJS.Timeout | undefined;
  const release = async () => {
    await releaseCodePages().catch((error) => log.debug(`Unable to release memory: ${errorText(error)}`));
  };
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => void release(), restDelayMs);
  };
}

/**
 * A slot that breaks starts afresh; the others never notice. Resolves with false when its set-up has to be mended first.
 */
async function keepRunning(options: RunSlotOptions): Promise<boolean> {
  const { settings, stops, log } = options;
  while (!stops.stop.aborted && !stops.drain.aborted) {
    try {
      await runSlot(options);
      return true;
    } catch (error) {
      if (error instanceof UsageError) {
        log.error(error.message);
        return false;
      }
      log.error(`The slot broke: ${error instanceof Error ? error.stack : errorText(error)}`);
      await sleep(settings.connectIntervalMs, AbortSignal.any([stops.stop, stops.drain])).catch(() => {});
    }
  }
  return true;
}
