// The built executable that the tests drive.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./processes.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Path of dist/openqa-worker, built anew when a source file is newer. */
export async function builtExecutable(): Promise<string> {
  const executable = join(root, "dist/openqa-worker");
  const builtAt = await stat(executable).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  const folders = await Promise.all(
    ["src", "commands"].map((name) => readdir(join(root, name), { recursive: true, withFileTypes: true })),
  );
  const files = folders
    .flat()
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const changedAt = await Promise.all(
    [...files, join(root, "build.ts"), join(root, "package.json")].map(
      async (file) => (await stat(file)).mtimeMs,
    ),
  );
  if (Math.max(...changedAt) > builtAt) await run([process.execPath, "run", "--cwd", root, "build.ts"]);
  return executable;
}
