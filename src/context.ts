// What every wait and every loop takes as its last parameter.
import type { Logger } from "./ops/log.ts";

export interface Context {
  /** Ends the work when aborted. Whatever waits must wait for this too. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Everything of the process that the project looks at: tests pass their own. */
export interface Program {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Working directory at start; nothing ever changes it. */
  readonly cwd: string;
  readonly home: string;
  /** The kernel's node name (`uname -n`), not shortened. */
  readonly nodeName: string;
}
