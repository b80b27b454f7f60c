// A child subreaper becomes the parent of descendants whose own parent has ended. So it also has to take them away
// when they end, which Bun does for the children that it started itself only.
import { childState, reap, setChildSubreaper } from "./libc.ts";
import { isAlive } from "./process-entry.ts";
import { listProcesses } from "./process-list.ts";

/** Bun takes its own children away at once: what is still there after this time was adopted. */
const adoptedAfterMs = 1000;
let isSubreaper = false;

/** Makes this process a child subreaper that takes adopted zombies away, whatever other children it has. */
export function becomeSubreaper(): void {
  if (isSubreaper) return;
  isSubreaper = true;
  setChildSubreaper();
  let earlier: ReadonlySet<string> = new Set();
  let isLookDue = false;
  const lookLater = () => {
    if (isLookDue) return;
    isLookDue = true;
    setTimeout(() => void look().catch(lookLater), adoptedAfterMs);
  };
  const look = async () => {
    isLookDue = false;
    // Mostly there is nothing to take away: the kernel says so at once, /proc has a file for each process of the host.
    if (childState().endedPid === undefined) {
      earlier = new Set();
      return;
    }
    const zombies = new Map<string, number>();
    for (const entry of await listProcesses())
      if (entry.parentPid === process.pid && !isAlive(entry))
        zombies.set(`${entry.pid} ${entry.startTicks}`, entry.pid);
    for (const [zombie, pid] of zombies) if (earlier.has(zombie) && reap(pid)) zombies.delete(zombie);
    earlier = new Set(zombies.keys());
    if (earlier.size > 0) lookLater();
  };
  process.on("SIGCHLD", lookLater);
}
