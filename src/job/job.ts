// What a slot knows about a job that it was offered. Making one from a message is `webui/messages.ts`'s part.

/** A job as it came in `grab_job` or `grab_jobs` (protocol 2.5). */
export interface Job {
  /** Digits. Compared as text, whether it came as number or string. */
  readonly id: string;
  /** As the web UI sent them; never changed, the host's settings are laid over a copy (protocol 4.1). */
  readonly settings: Readonly<Record<string, string>>;
  /** The whole job hash, untouched: status messages and the kept state repeat it. */
  readonly received: Readonly<Record<string, unknown>>;
}
