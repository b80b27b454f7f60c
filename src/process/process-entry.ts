// One process as /proc/PID/stat has it.

/** A process; pid and start time together are never used again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start. */
  readonly startTicks: string;
}

export interface ProcessEntry extends ProcessIdentity {
  readonly parentPid: number;
  readonly sessionId: number;
  /** As in /proc/PID/stat: R, S, D, T, Z … */
  readonly state: string;
  /** Name of its program, cut by the kernel to 15 bytes. */
  readonly name: string;
}

/** Undefined when there is no such process (any more). */
export async function readProcess(pid: number): Promise<ProcessEntry | undefined> {
  const text = await Bun.file(`/proc/${pid}/stat`)
    .text()
    .catch(() => undefined);
  return text === undefined ? undefined : parseStat(text);
}

/** Undefined when the line is none of /proc/PID/stat. The name may itself contain spaces and parentheses. */
export function parseStat(text: string): ProcessEntry | undefined {
  const [, pid, name, rest] = /^(\d+) \((.*)\) (.*)/s.exec(text) ?? [];
  const fields = rest?.split(" ") ?? [];
  const [state, parentPid, , sessionId] = fields;
  const startTicks = fields[19];
  if (state === undefined || startTicks === undefined) return undefined;
  return {
    pid: Number(pid),
    name: name ?? "",
    state,
    parentPid: Number(parentPid),
    sessionId: Number(sessionId),
    startTicks,
  };
}

/** A zombie has ended: only its parent can take it away. */
export function isAlive({ state }: ProcessEntry): boolean {
  return state !== "Z" && state !== "X";
}

/** For messages: "NAME (PID)". */
export function nameOf({ name, pid }: ProcessEntry): string {
  return `${name} (${pid})`;
}

/** Whether this very process still runs, and not a later one of the same pid. */
export async function isRunning({ pid, startTicks }: ProcessIdentity): Promise<boolean> {
  const entry = await readProcess(pid);
  return entry !== undefined && entry.startTicks === startTicks && isAlive(entry);
}
