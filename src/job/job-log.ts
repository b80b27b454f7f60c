// The two logs of a job in its pool (protocol 4.4): worker-log.txt has the worker's own lines about it,
// autoinst-log.txt takes the worker's notes between the output of isotovideo.
import { machine, release, type, version } from "node:os";
import { join } from "node:path";
import { AppendedFile } from "../ops/appended-file.ts";
import { formatJobLine, fromLevel, type LogEntry, type LogLevel, type LogSink } from "../ops/log.ts";
import { removeEntries } from "../ops/remove-entries.ts";

export const autoinstLogName = "autoinst-log.txt";
const workerLogName = "worker-log.txt";

export interface JobLog {
  /** Writes into worker-log.txt. */
  readonly sink: LogSink;
  /** Writes into autoinst-log.txt, for what downloads and test sync say. */
  readonly autoinstSink: LogSink;
  /** Log lines into autoinst-log.txt. */
  note(...lines: readonly string[]): void;
  /** Resolves when the notes given so far are in the file: isotovideo's output comes after them. */
  flush(): Promise<void>;
  /** A line in both logs, on disk when it resolves. */
  announceUpload(name: string): Promise<void>;
  /** Lines that this start of the worker has written into either. */
  lineCount(): number;
  close(): Promise<void>;
}

/**
 * Starts both logs afresh, unless the job goes on from an earlier start of the worker. Left-overs of an earlier job that
 * would be uploaded with this one are removed.
 */
export async function openJobLog(
  poolDirectory: string,
  logLevel: LogLevel,
  { isContinued = false } = {},
): Promise<JobLog> {
  if (!isContinued) await removeEntries(poolDirectory, ["serial0.txt", "serial_terminal.txt"]);
  const openLog = isContinued ? reopenFile : openFresh;
  // Both stay open: a job that puts a link in their place does not get lines written elsewhere.
  const workerLog = await openLog(poolDirectory, workerLogName);
  const autoinstLog = await openLog(poolDirectory, autoinstLogName);
  let lineCount = 0;
  const lineInto = (file: AppendedFile) => (entry: LogEntry) => {
    lineCount++;
    file.write(formatJobLine(entry, logLevel));
  };
  const sink = fromLevel(logLevel, lineInto(workerLog));
  const autoinstSink = fromLevel(logLevel, lineInto(autoinstLog));
  const note = (...lines: readonly string[]) => {
    for (const text of lines) lineInto(autoinstLog)({ level: "info", text, time: Date.now() });
  };
  return {
    sink,
    autoinstSink,
    note,
    flush: () => autoinstLog.flush(),
    async announceUpload(name) {
      const text = `Uploading ${name}`;
      sink({ level: "info", text, time: Date.now() });
      note(text);
      await Promise.all([workerLog.flush(), autoinstLog.flush()]);
    },
    lineCount: () => lineCount,
    async close() {
      await Promise.all([workerLog.close(), autoinstLog.close()]);
    },
  };
}

async function openFresh(poolDirectory: string, name: string): Promise<AppendedFile> {
  await removeEntries(poolDirectory, [name]);
  return await AppendedFile.open(join(poolDirectory, name), { isFresh: true });
}

/** A job may have put something else in its place. */
async function reopenFile(poolDirectory: string, name: string): Promise<AppendedFile> {
  return await AppendedFile.reopen(join(poolDirectory, name)).catch(() => openFresh(poolDirectory, name));
}

/** First lines of autoinst-log.txt. */
export function setupNotes(nodeName: string, instance: number): string[] {
  const system = [type(), release(), version(), machine()].join(" ");
  return ["+++ setup notes +++", `Running on ${nodeName}:${instance} (${system})`];
}

/** Last lines before the uploads. `exit` is left out where isotovideo never ran or ran into its time limit. */
export function endNotes(stopReason: string, exit: string | undefined, now: Date): string[] {
  const endTime = now.toISOString().slice(0, 19).replace("T", " ");
  const exitLine = exit === undefined ? [] : [`Isotovideo exit status: ${exit}`];
  return [...exitLine, "+++ worker notes +++", `End time: ${endTime}`, `Result: ${stopReason}`];
}
