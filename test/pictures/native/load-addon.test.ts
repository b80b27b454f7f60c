import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAddon, NativeLibraryError } from "../../../src/pictures/native/load-addon.ts";
import { playedLibrary } from "./played-library.ts";

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "load-addon-"));
  for (const name of ["home", "tmp"]) await mkdir(join(scratch, name));
});
afterEach(() => rm(scratch, { recursive: true }));

/** Why a library that no system can load was not loaded, a line for each place. */
async function failures(env: Record<string, string>): Promise<string[]> {
  const failure: unknown = await loadAddon(await playedLibrary(scratch, "one"), { env }).catch(
    (error) => error,
  );
  if (!(failure instanceof NativeLibraryError)) throw failure;
  const [first = "", ...lines] = failure.message.split("\n");
  expect(first).toMatch(/^Cannot load sharp-linux-x64-[0-9a-f]{16} from any place \(one has to be a folder/);
  return lines;
}
const ownTmp = () => join(scratch, "tmp", `openqa-worker-${process.geteuid?.()}`);

test("one error names every place in order, and what is wrong with each", async () => {
  await writeFile(join(scratch, "home/.cache"), "");
  const env = {
    XDG_CACHE_HOME: join(scratch, "caches"),
    HOME: join(scratch, "home"),
    TMPDIR: join(scratch, "tmp"),
  };
  const [xdg, home, temporary, memory, ...more] = await failures(env);
  expect(xdg).toMatch(new RegExp(`^${scratch}/caches/openqa-worker: Failed to open library`));
  expect(home).toMatch(new RegExp(`^${scratch}/home/.cache/openqa-worker: ENOTDIR`));
  expect(temporary).toMatch(new RegExp(`^${ownTmp()}: Failed to open library`));
  expect(memory).toMatch(/^memory: Failed to open library/);
  expect(more).toEqual([]);
});

test("places that are not set, or relative, are left out", async () => {
  const lines = await failures({ XDG_CACHE_HOME: "caches", HOME: "", TMPDIR: join(scratch, "tmp") });
  expect(lines.map((line) => line.slice(0, line.indexOf(":")))).toEqual([ownTmp(), "memory"]);
  expect((await readdir(scratch)).filter((name) => !name.endsWith(".zst")).sort()).toEqual(["home", "tmp"]);
});

test("files in memory are closed again", async () => {
  const descriptors = async () => (await readdir("/proc/self/fd")).length;
  await failures({ TMPDIR: "" });
  const before = await descriptors();
  for (let time = 0; time < 5; time++) await failures({ TMPDIR: join(scratch, "tmp") });
  expect(await descriptors()).toBe(before);
});
