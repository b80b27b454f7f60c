// The command line as its callers see it: the built executable, from an empty folder.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import { executable } from "../support/temporary-worker.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "cli-"));
  await mkdir(join(folder, "openqa/share"), { recursive: true });
});
afterAll(() => rm(folder, { recursive: true }));

async function call(...words: string[]) {
  const env = { PATH: process.env["PATH"], OPENQA_CONFIG: folder, OPENQA_BASEDIR: folder, HOME: folder };
  const child = Bun.spawn([executable, ...words], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

describe("the executable", () => {
  test("tells its version and leaves the folder alone", async () => {
    const before = await readdir(folder);
    expect(await call("--version")).toEqual({ stdout: `${version}\n`, stderr: "", code: 0 });
    expect(await readdir(folder)).toEqual(before);
  });

  test.each(["--help", "help", "run --help", "register --help", "help run"])(
    "helps with %s",
    async (words) => {
      const { stdout, code } = await call(...words.split(" "));
      expect(code).toBe(0);
      expect(stdout).toStartWith("Usage: openqa-worker");
      expect(stdout).toContain("Exit codes:");
    },
  );

  test.each([
    [["frobnicate"], "unknown command 'frobnicate'"],
    [["--frobnicate"], "unknown option '--frobnicate'"],
    [["run", "--instance", "1-x"], "1-x"],
    [["register", "--instance", "1-3"], "expected one slot"],
    [["--isotovideo", "/nowhere/isotovideo"], "Path to isotovideo invalid: /nowhere/isotovideo"],
  ] as const)("refuses %p with exit code 3 and says why", async (words, why) => {
    const { stderr, code } = await call(...words);
    expect(code).toBe(3);
    expect(stderr).toContain(why);
  });

  test("takes flags without a subcommand for those of run", async () => {
    const { stdout, code } = await call("--instance", "2,4", "--verbose", "--show-config");
    expect(code).toBe(0);
    expect(stdout).toContain("instance = 2  (--instance)");
    expect(stdout).toContain("instance = 4  (--instance)");
    expect(stdout).toContain('logLevel = "debug"  (--verbose)');
  });

  test("shows where a setting comes from, but no secrets", async () => {
    await writeFile(join(folder, "client.conf"), "[localhost]\nkey = ABCD\nsecret = PRECIOUS\n");
    const { stdout } = await call("--show-config");
    expect(stdout).toContain(`(${join(folder, "client.conf")}:2)`);
    expect(stdout).not.toContain("PRECIOUS");
  });

  test("names file, line and the nearest known key of a mistyped setting", async () => {
    const file = join(folder, "openqa-worker.toml");
    await writeFile(file, "[stop]\ngrace_s = 3\n");
    const { stderr, code } = await call("run");
    await rm(file);
    expect(code).toBe(3);
    expect(stderr).toContain(`${file}:2`);
    expect(stderr).toContain("grace_ms");
  });

  test("without a share directory there is nobody to work for", async () => {
    await rm(join(folder, "openqa/share"), { recursive: true });
    const { stdout, stderr, code } = await call("run", "--host", "http://127.0.0.1:9");
    await mkdir(join(folder, "openqa/share"));
    expect(code).toBe(3);
    expect(stdout).toContain("Ignoring host 'http://127.0.0.1:9': Working directory does not exist.");
    expect(stderr).toContain("no slot can run");
  });

  test("a pool directory that cannot be used is named, with what to do", async () => {
    await writeFile(join(folder, "openqa/pool"), "no directory");
    for (const subcommand of ["run", "register"]) {
      const { stdout, stderr, code } = await call(subcommand, "--host", "http://127.0.0.1:9");
      expect(code).toBe(3);
      expect(stdout + stderr).toContain(`Unable to use the pool directory ${folder}/openqa/pool/1: `);
      expect(stdout + stderr).toContain("set OPENQA_BASEDIR");
    }
    await rm(join(folder, "openqa/pool"));
  });
});
