// Ends a set of processes that may grow while it is being ended: TERM, grace, then rounds of freezing and killing
// until the kernel says, or several scans in a row, that nobody is left.
import { isAlive, type ProcessEntry, type ProcessIdentity, readProcess } from "./process-entry.ts";
import { descendantsOf, listProcesses } from "./process-list.ts";

/** A scan may miss the child of a process that ends meanwhile, several in a row do not. */
const emptyScansNeeded = 3;
const scanIntervalMs = 5;
const graceScanIntervalMs = 20;
/** Whoever outlives KILL for so long hangs in the kernel or is out of our power. */
const maxKillMs = 10_000;

/** Picks the processes to end out of all; called for every scan. */
export type Selection = (
  processes: readonly ProcessEntry[],
) => readonly ProcessEntry[] | Promise<readonly ProcessEntry[]>;

export interface SweepOptions {
  /** From TERM to KILL; 0: KILL at once. */
  readonly graceMs: number;
  /** Ends the grace period early; the sweep itself goes on. */
  readonly hurry?: AbortSignal;
  /** The kernel's word that nobody is left, where there is one. */
  readonly isEmpty?: () => boolean;
}

export interface Swept {
  readonly ended: readonly ProcessEntry[];
  /** Those that outlived KILL. */
  readonly left: readonly ProcessEntry[];
}

/** Resolves when nobody of the selection is alive, or when somebody outlives KILL for `maxKillMs`. */
export async function sweep(selection: Selection, options: SweepOptions): Promise<Swept> {
  const tree = new Scanner(selection, options.isEmpty);
  if (await tree.isGone()) return tree.swept();
  if (options.graceMs > 0) await endSoftly(tree, options.graceMs, options.hurry);
  const killEnd = performance.now() + maxKillMs;
  while (!(await tree.isGone()) && performance.now() < killEnd) {
    // Frozen processes do not fork between the scan and their end.
    await tree.signal("SIGSTOP");
    await tree.scan();
    await tree.signal("SIGKILL");
    await Bun.sleep(scanIntervalMs);
  }
  return tree.swept();
}

/** Sweeps all below a process, not this itself. */
export async function sweepBelow(pid: number, options: SweepOptions): Promise<Swept> {
  return await sweep((all) => descendantsOf([pid], all), options);
}

async function endSoftly(tree: Scanner, graceMs: number, hurry: AbortSignal | undefined): Promise<void> {
  const graceEnd = performance.now() + graceMs;
  await tree.signal("SIGTERM");
  while (performance.now() < graceEnd && !hurry?.aborted) {
    if (await tree.isGone()) return;
    await Bun.sleep(graceScanIntervalMs);
  }
}

class Scanner {
  private alive: readonly ProcessEntry[] = [];
  private readonly seen = new Map<string, ProcessEntry>();

  constructor(
    private readonly selection: Selection,
    private readonly isEmpty: (() => boolean) | undefined,
  ) {}

  async scan(): Promise<void> {
    const selected = await this.selection(await listProcesses());
    this.alive = selected.filter((entry) => isAlive(entry) && entry.pid !== process.pid);
    for (const entry of this.alive) this.seen.set(key(entry), entry);
  }

  async isGone(): Promise<boolean> {
    if (this.isEmpty?.()) {
      this.alive = [];
      return true;
    }
    await this.scan();
    if (this.isEmpty) return false;
    for (let scans = 1; scans < emptyScansNeeded && this.alive.length === 0; scans++) {
      await Bun.sleep(scanIntervalMs);
      await this.scan();
    }
    return this.alive.length === 0;
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    for (const entry of this.alive) await signalProcess(entry, signal);
  }

  swept(): Swept {
    const left = new Set(this.alive.map(key));
    const ended = [...this.seen].filter(([one]) => !left.has(one)).map(([, entry]) => entry);
    return { ended, left: this.alive };
  }
}

function key({ pid, startTicks }: ProcessIdentity): string {
  return `${pid} ${startTicks}`;
}

/** Sends a signal unless the process has ended: never to a later one of the same pid. */
export async function signalProcess(
  { pid, startTicks }: ProcessIdentity,
  signal: NodeJS.Signals,
): Promise<void> {
  if ((await readProcess(pid))?.startTicks !== startTicks) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}
