// `sync` as its callers see it: the built executable, with a cache directory and tests of its own.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { until } from "../isotovideo/pool.ts";
import { livingDescendants } from "../support/born-processes.ts";
import { executable } from "../support/temporary-worker.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sync-"));
  await mkdir(join(folder, "openqa/share"), { recursive: true });
  await write("workers.ini", workersIni);
  await write("source/main.pm", "1;");
  await write("source/lib/new.pm", "1;");
  await write("cache/localhost/tests/main.pm", "an old one");
  await write("cache/localhost/tests/gone.pm", "");
});
afterEach(() => rm(folder, { recursive: true }));

// Nothing answers where a stock cache service would.
const workersIni = `[global]
HOST = localhost http://127.0.0.1:9526 bare
CACHEDIRECTORY = FOLDER/cache
[localhost]
TESTPOOLSERVER = FOLDER/source
[http://127.0.0.1:9526]
TESTPOOLSERVER = --exclude lib FOLDER/source
`;

async function write(name: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), text.replaceAll("FOLDER", folder));
}

function start(words: readonly string[], options?: StartOptions) {
  return startProgram([executable, "sync", ...words], options);
}

interface StartOptions {
  readonly path?: string | undefined;
  readonly basePort?: number;
}

function startProgram(command: string[], { path = process.env["PATH"], basePort = 1 }: StartOptions = {}) {
  const env = {
    PATH: path,
    OPENQA_CONFIG: folder,
    OPENQA_BASEDIR: folder,
    HOME: folder,
    OPENQA_BASE_PORT: String(basePort),
    OPENQA_RSYNC_RETRY_PERIOD: "0",
  };
  return Bun.spawn(command, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
}

async function ended(child: ReturnType<typeof start>) {
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

const sync = async (...words: string[]) => await ended(start(words));

/** Names of what a host's folder has. */
async function synced(host: string): Promise<string[]> {
  return (await readdir(join(folder, "cache", host, "tests"), { recursive: true })).sort();
}

async function replaceRsync(script: string): Promise<string> {
  await write("bin/rsync", `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, "bin/rsync"), 0o755);
  return `${join(folder, "bin")}:${process.env["PATH"]}`;
}

describe("sync", () => {
  test("brings the tests of one host up to date and shows what has changed", async () => {
    const { stdout, stderr, code } = await sync("localhost");
    expect(code).toBe(0);
    const directory = join(folder, "cache/localhost/tests");
    const [summary, ...changes] = stdout.trimEnd().split("\n");
    expect(summary).toBe(`localhost: ${directory} has 2 new, 1 changed, 1 deleted:`);
    expect(changes.sort()).toEqual([
      "  changed main.pm",
      "  deleted gone.pm",
      "  new     lib/",
      "  new     lib/new.pm",
    ]);
    expect(stderr).toContain(`Syncing tests of localhost from ${folder}/source`);
    expect(await synced("localhost")).toEqual(["lib", "lib/new.pm", "main.pm"]);
    expect((await sync("localhost")).stdout).toBe(`localhost: ${directory} is up to date\n`);
  });

  test("without a host syncs all that have tests, each as configured", async () => {
    const { stdout, code } = await sync("--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject([
      { host: "localhost", directory: join(folder, "cache/localhost/tests") },
      {
        host: "http://127.0.0.1:9526",
        directory: join(folder, "cache/127.0.0.1/tests"),
        changes: expect.arrayContaining([{ kind: "new", path: "main.pm" }]),
      },
    ]);
    expect(await synced("127.0.0.1")).toEqual(["main.pm"]);
  });

  test("changes nothing with --dry-run", async () => {
    const { stdout, code } = await sync("localhost", "--dry-run");
    expect(code).toBe(0);
    expect(stdout).toContain("would have 2 new, 1 changed, 1 deleted:");
    expect(await synced("localhost")).toEqual(["gone.pm", "main.pm"]);
  });

  test("that fails for one host says what rsync said, goes on with the others, and ends with exit code 1", async () => {
    await write("workers.ini", workersIni.replace("FOLDER/source", "FOLDER/none"));
    const { stdout, stderr, code } = await sync();
    expect(code).toBe(1);
    expect(stderr).toContain(`${folder}/none`);
    expect(stderr).toContain("No such file or directory");
    expect(stderr).toContain("localhost: Failed to rsync tests: exit code 23");
    expect(stdout).toContain("http://127.0.0.1:9526: ");
    expect(await synced("localhost")).toEqual(["gone.pm", "main.pm"]);
    expect(JSON.parse((await sync("localhost", "--json")).stdout)).toMatchObject([
      { host: "localhost", error: "Failed to rsync tests: exit code 23" },
    ]);
  });

  test("on a terminal that does not tell its width is no different", async () => {
    const { stdout, code } = await ended(
      startProgram([
        "script",
        "--quiet",
        "--return",
        "--command",
        `${executable} sync localhost`,
        "/dev/null",
      ]),
    );
    expect(code).toBe(0);
    expect(stdout).toContain("2 new, 1 changed, 1 deleted:");
  });

  test.each(["SIGINT", "SIGTERM"] as const)("is ended by %s, and rsync with it", async (signal) => {
    const child = start(["localhost"], {
      path: await replaceRsync(`touch ${folder}/ready; sleep 60`),
    });
    await until("rsync runs", async () => (await Bun.file(join(folder, "ready")).exists()) || undefined);
    child.kill(signal);
    const { stderr, code } = await ended(child);
    expect(code).toBe(1);
    expect(stderr).toContain(`stopped by ${signal}`);
    expect(await livingDescendants()).toEqual([]);
  });
});

describe("sync is refused with exit code 3", () => {
  const refused = async (child: ReturnType<typeof start>, why: string) => {
    const { stdout, stderr, code } = await ended(child);
    expect(stderr).toContain(why);
    expect(stdout).toBe("");
    expect(code).toBe(3);
  };

  test("for a host that is not configured, with the names of those that are", async () => {
    await refused(start(["nobody"]), '"nobody": HOST has localhost, http://127.0.0.1:9526, bare');
  });

  test("for a host without tests", async () => {
    await refused(start(["bare"]), "no tests to sync for bare: set TESTPOOLSERVER");
  });

  test("when no host has tests", async () => {
    await write("workers.ini", "[global]\nCACHEDIRECTORY = FOLDER/cache\n");
    await refused(start([]), "no tests to sync for localhost: set TESTPOOLSERVER");
  });

  test("for a host that the worker ignores, with the reason", async () => {
    await write("workers.ini", `${workersIni}SHARE_DIRECTORY = FOLDER/nowhere\n`);
    await rm(join(folder, "openqa/share"), { recursive: true });
    await refused(start(["localhost"]), "Ignoring host 'localhost': Working directory does not exist.");
  });

  test("without a cache directory", async () => {
    await write("workers.ini", "[localhost]\nTESTPOOLSERVER = FOLDER/source\n");
    await refused(start(["localhost"]), "CACHEDIRECTORY");
  });

  test("without rsync", async () => {
    await refused(
      start(["localhost"], { path: "/nowhere" }),
      "rsync is not installed (install the package rsync)",
    );
  });

  test("while a stock cache service has the directory", async () => {
    const headers = { server: "Mojolicious (Perl)" };
    await using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response("{}", { headers }),
    });
    // The service's port is the fourth after the base port.
    const child = start(["localhost"], { basePort: (server.port ?? 0) - 4 });
    await refused(child, `a stock cache service answers at http://127.0.0.1:${server.port}`);
    expect(await synced("localhost")).toEqual(["gone.pm", "main.pm"]);
  });
});
