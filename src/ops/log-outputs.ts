// Where the log lines of a slot go: a file in LOG_DIR, a named file, or stdout.
import { mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Settings } from "../config/settings.ts";
import type { Program } from "../context.ts";
import { AppendedFile } from "./appended-file.ts";
import { formatDaemonLine, fromLevel, Logger, type LogLevel, type LogSink } from "./log.ts";

/** Log lines on stdout. */
export function stdoutSink(level: LogLevel): LogSink {
  return fromLevel(level, (entry) => process.stdout.write(formatDaemonLine(entry, level)));
}

/** The log of a slot (protocol 1.3, LOG_DIR and OPENQA_LOGFILE). */
export async function openSlotLog(settings: Settings, { nodeName, cwd }: Program): Promise<Logger> {
  const { instance, logLevel, logDirectory, logFile } = settings;
  const fields = { slot: instance };
  if (logDirectory === undefined && logFile === undefined) return new Logger([stdoutSink(logLevel)], fields);
  const name = logFile ?? `${nodeName}-${instance}.log`;
  const file = await openLogFile(resolve(cwd, logDirectory ?? "", name));
  return new Logger([fromLevel(logLevel, (entry) => file.write(formatDaemonLine(entry, logLevel)))], fields);
}

async function openLogFile(path: string): Promise<AppendedFile> {
  await mkdir(dirname(path), { recursive: true });
  return await AppendedFile.open(path, {
    onError: (error) => process.stderr.write(`Unable to write ${path}: ${error}\n`),
  });
}
