// A fake isotovideo that keeps what it leaves in the pool, which the worker empties after each job, and notes its starts.
import { chmod, cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeFolders } from "./processes.ts";
import type { OpenqaServer } from "./server.ts";
import { workerUser } from "./users.ts";

const fake = fileURLToPath(new URL("../support/fake-isotovideo", import.meta.url));

/** Setting that names the job's folder. */
export const keySetting = "KEPT_AS";

export interface KeptIsotovideo {
  /** For `--isotovideo`. */
  readonly path: string;
  /** Laid out like the pool that the last run of that key left. */
  folder(key: string): string;
  /** How often that key was run. */
  starts(key: string): Promise<number>;
}

export async function installKeptIsotovideo(server: OpenqaServer): Promise<KeptIsotovideo> {
  const folder = join(server.folder, "kept");
  await makeFolders(workerUser, folder);
  const copy = join(server.folder, "fake-isotovideo");
  const path = join(server.folder, "kept-isotovideo");
  await cp(fake, copy);
  await writeFile(path, script(copy, folder));
  for (const file of [copy, path]) await chmod(file, 0o755);
  return {
    path,
    folder: (key) => join(folder, key),
    async starts(key) {
      const text = await readFile(join(folder, `${key}.starts`), "utf8").catch(() => "");
      return text.length;
    },
  };
}

/** Assets get a content in which no piece is like another. */
function script(fakePath: string, folder: string): string {
  return `#!/bin/sh
[ "$1" = --version ] && exec ${fakePath} "$@"
key=$(perl -MJSON::PP -0777 -ne 'print decode_json($_)->{${keySetting}}' vars.json)
printf . >> ${folder}/$key.starts
${fakePath} "$@"
code=$?
mkdir -p testresults ulogs assets_public assets_private
for asset in assets_public/* assets_private/*; do
    [ -f "$asset" ] && head -c "$(stat -c %s "$asset")" /dev/urandom > "$asset"
done
rm -rf ${folder}/$key
mkdir ${folder}/$key
cp -r testresults ulogs assets_public assets_private serial0 video.ogv ${folder}/$key/
exit $code
`;
}
