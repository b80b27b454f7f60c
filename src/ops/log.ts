// Log lines in the form of the stock worker: "[2026-11-24T03:35:28.479266Z] [info] TEXT", at level debug with
// "[pid:N] " before TEXT. Where lines go (stdout, LOG_DIR, worker-log.txt) is up to the sinks.

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogEntry {
  readonly level: LogLevel;
  readonly text: string;
  /** Milliseconds since the epoch, with microseconds as fraction. */
  readonly time: number;
  readonly slot?: number;
  readonly job?: string;
}

/** Takes every entry, whatever its level. */
export type LogSink = (entry: LogEntry) => void;

export class Logger {
  constructor(
    private readonly sinks: readonly LogSink[],
    private readonly fields: { readonly slot?: number; readonly job?: string } = {},
  ) {}

  debug(text: string): void {
    this.write("debug", text);
  }
  info(text: string): void {
    this.write("info", text);
  }
  warn(text: string): void {
    this.write("warn", text);
  }
  error(text: string): void {
    this.write("error", text);
  }

  /** The same sinks, every line marked with a slot or job. */
  with(fields: { readonly slot?: number; readonly job?: string }): Logger {
    return new Logger(this.sinks, { ...this.fields, ...fields });
  }

  /** A logger that also writes to a further sink. */
  also(sink: LogSink): Logger {
    return new Logger([...this.sinks, sink], this.fields);
  }

  /** For lines of another logger; else there are the methods named after the levels. */
  write(level: LogLevel, text: string): void {
    const entry: LogEntry = { level, text, time: performance.timeOrigin + performance.now(), ...this.fields };
    for (const sink of this.sinks) sink(entry);
  }
}

/** Passes on the entries of a level and those above it. */
export function fromLevel(lowest: LogLevel, sink: LogSink): LogSink {
  const rank = logLevels.indexOf(lowest);
  return (entry) => {
    if (logLevels.indexOf(entry.level) >= rank) sink(entry);
  };
}

/** One line with its line end, without slot and job. */
export function formatJobLine(entry: LogEntry, lowest: LogLevel): string {
  return `${stamp(entry)} ${pidMark(lowest)}${entry.text}\n`;
}

/** One line with its line end, marked with slot and job. */
export function formatDaemonLine(entry: LogEntry, lowest: LogLevel): string {
  const slot = entry.slot === undefined ? "" : `[slot ${entry.slot}] `;
  const job = entry.job === undefined ? "" : `[job ${entry.job}] `;
  return `${stamp(entry)} ${pidMark(lowest)}${slot}${job}${entry.text}\n`;
}

function stamp({ time, level }: LogEntry): string {
  const micros = String(Math.floor((time % 1) * 1000)).padStart(3, "0");
  return `[${new Date(time).toISOString().replace("Z", `${micros}Z`)}] [${level}]`;
}

function pidMark(lowest: LogLevel): string {
  return lowest === "debug" || lowest === "trace" ? `[pid:${process.pid}] ` : "";
}

/** A logger that keeps nothing, for callers that do not care. */
export const silentLog = new Logger([]);
