// Where the log lines of a slot go: a file in LOG_DIR, a named file, or stdout.
import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Settings } from "../config/settings.ts";
import type { Program } from "../context.ts";
import { errorText, UsageError } from "../errors.ts";
import { AppendedFile } from "../ops/appended-file.ts";
import { formatDaemonLine, fromLevel, Logger, type LogLevel, type LogSink } from "../ops/log.ts";

/** Log lines on stdout. A reader that goes away does not matter. */
export function stdoutSink(level: LogLevel): LogSink {
  if (process.stdout.listenerCount("error") === 0) process.stdout.on("error", () => {});
  return fromLevel(level, (entry) => process.stdout.write(formatDaemonLine(entry, level)));
}

export interface SlotLog {
  readonly log: Logger;
  /** Resolves when all lines are where they belong. */
  close(): Promise<void>;
}

/** The log of a slot (protocol 1.3, LOG_DIR and OPENQA_LOGFILE). Throws `UsageError` when it cannot be written. */
export async function openSlotLog(settings: Settings, { nodeName, cwd }: Program): Promise<SlotLog> {
  const { instance, logLevel, logDirectory, logFile } = settings;
  const fields = { slot: instance };
  if (logDirectory === undefined && logFile === undefined)
    return { log: new Logger([stdoutSink(logLevel)], fields), close: async () => {} };
  const name = logFile ?? `${nodeName}-${instance}.log`;
  const file = await openLogFile(resolve(cwd, logDirectory ?? "", name));
  const sink = fromLevel(logLevel, (entry) => file.write(formatDaemonLine(entry, logLevel)));
  return { log: new Logger([sink], fields), close: () => file.close() };
}

async function openLogFile(path: string): Promise<AppendedFile> {
  const onError = (error: unknown) => process.stderr.write(`Unable to write ${path}: ${errorText(error)}\n`);
  try {
    await mkdir(dirname(path), { recursive: true });
    return await AppendedFile.open(path, { onError });
  } catch (error) {
    throw new UsageError(`Unable to write the log file (LOG_DIR): ${errorText(error)}`, { cause: error });
  }
}
