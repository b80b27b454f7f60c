// isotovideo with something around it, for the job setting ISOTOVIDEO.
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { OpenqaServer } from "../e2e/server.ts";
import { installWrapper } from "./timing.ts";

/** Lines of bash that are run in the pool directory. */
export interface Lines {
  /** What they leave in the background ends with isotovideo. */
  readonly before?: string;
  /** Assets belong here: isotovideo removes what there is when it starts. */
  readonly after?: string;
}

/** `timing.ts` tells when isotovideo itself ran. Returns the setting's value. */
export async function installIsotovideoWith(
  server: OpenqaServer,
  name: string,
  { before = "", after = "" }: Lines,
): Promise<string> {
  const path = join(server.folder, `isotovideo-${name}`);
  const script = `#!/bin/bash
${before}
${await installWrapper(server)}
code=$?
${after}
jobs -p | xargs -r kill
exit $code
`;
  await writeFile(path, script);
  await chmod(path, 0o755);
  return path;
}
