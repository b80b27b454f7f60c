// A child subreaper that starts one child itself: all others are adopted, so it need not look at /proc to tell them
// apart, and the kernel tells it when no descendant is left.
import { childState, reap, setChildSubreaper } from "./libc.ts";

/** Zombies taken away in one go; the next SIGCHLD or question goes on. */
const maxReaped = 10_000;

/** `ownChild`: pid of the child started by Bun, which takes it away itself; undefined before and afterwards. */
export function becomeSubreaperOf(ownChild: () => number | undefined): { hasChildren(): boolean } {
  setChildSubreaper();
  const reapAdopted = () => {
    for (let count = 0; count < maxReaped; count++) {
      const { endedPid } = childState();
      if (endedPid === undefined || endedPid === ownChild()) return;
      reap(endedPid);
    }
  };
  process.on("SIGCHLD", reapAdopted);
  return {
    hasChildren: () => {
      reapAdopted();
      return childState().hasChildren;
    },
  };
}
