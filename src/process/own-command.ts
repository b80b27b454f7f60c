// How this program starts itself again, for what has to be a process of its own.
import { join } from "node:path";

/** Hidden subcommands. */
export type OwnPart = "__supervise" | "__pictures";

/** Program and arguments. This very program, also when a newer one has taken its place on the disk. */
export function ownCommand(part: OwnPart): string[] {
  const isCompiled = Bun.main.startsWith("/$bunfs/");
  const source = isCompiled ? [] : [join(import.meta.dir, "../../commands/main.ts")];
  return ["/proc/self/exe", ...source, part];
}
