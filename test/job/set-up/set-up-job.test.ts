import { describe, expect, test } from "bun:test";
import { readdir, readFile, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { AssetCaches } from "../../../src/cache/worker/asset-caches.ts";
import type { Context } from "../../../src/context.ts";
import { SetupFailure } from "../../../src/errors.ts";
import { setUpJob } from "../../../src/job/set-up/set-up-job.ts";
import { RememberedErrors } from "../../../src/webui/remembered-errors.ts";
import { livingDescendants } from "../../support/born-processes.ts";
import { JobHost, recordingContext } from "../job-host.ts";

const files = {
  "share/factory/iso/opensuse-15.iso": "iso",
  "share/tests/opensuse/products/opensuse/main.pm": "",
};
const jobSettings = {
  DISTRI: "opensuse",
  VERSION: "15",
  NAME: "00000012-test",
  JOBTOKEN: "token",
  ISO: "%DISTRI%-%VERSION%.iso",
  ISOTOVIDEO: "echo %DISTRI%",
  _SECRET_X: "geheim",
};

function settingUp(host: JobHost, settings: Record<string, string>, context: Context = recordingContext()) {
  const { settings: hostSettings, program } = host;
  const [firstHost] = hostSettings.hosts;
  const job = { id: "12", settings, received: { id: 12, name: "test", settings } };
  const webUi = {
    host: firstHost!,
    url: firstHost!.url,
    workerId: 7,
    servicePortDelta: 2,
    errors: new RememberedErrors(),
    call: () => Promise.reject(new Error("nothing is asked without a cache")),
  };
  const ofJob = { caches: new AssetCaches(), held: new AsyncDisposableStack(), autoinstSink: () => {} };
  return setUpJob({ job, settings: hostSettings, program, webUi, ...ofJob }, context);
}

async function json(host: JobHost, name: string): Promise<unknown> {
  return JSON.parse(await readFile(join(host.pool, name), "utf8"));
}

test("a job is set up: settings, asset, tests, vars.json", async () => {
  await using host = await JobHost.make(files, "[global]\nQEMU = qemu-%ARCH%\nWORKER_CLASS = a\n");
  const prepared = await settingUp(host, { ...jobSettings, ARCH: "x86_64", MAX_JOB_TIME: "60" });

  const vars = await json(host, "vars.json");
  expect(vars).toEqual(prepared.vars);
  expect(vars).toMatchObject({
    ISO: "opensuse-15.iso",
    QEMU: "qemu-x86_64",
    WORKER_CLASS: "a",
    CASEDIR: "opensuse",
    PRODUCTDIR: "opensuse/products/opensuse",
    ASSETDIR: join(host.share, "factory"),
    OPENQA_URL: "localhost",
    OPENQA_HOSTNAME: "localhost",
    WORKER_ID: "7",
    WORKER_INSTANCE: "1",
    QEMUPORT: "20012",
    VNC: "91",
    _SECRET_X: "geheim",
  });
  expect(await readFile(join(host.pool, "opensuse-15.iso"), "utf8")).toBe("iso");
  expect((await readdir(join(host.pool, "opensuse"))).sort()).toEqual(["products"]);

  const { jobSettings: inJobJson, maxJobTimeMs, commandServerUrl } = prepared;
  expect(await json(host, "job.json")).toEqual({ id: 12, name: "test", settings: inJobJson });
  expect(inJobJson).toMatchObject({ ISO: "%DISTRI%-%VERSION%.iso", ISOTOVIDEO: "echo %DISTRI%" });
  expect(inJobJson).not.toHaveProperty("WORKER_ID");
  expect(maxJobTimeMs).toBe(60_000);
  expect(commandServerUrl).toBe("http://localhost:20013/token");
});

test("settings are logged at debug, without their secrets", async () => {
  await using host = await JobHost.make(files);
  const context = recordingContext();
  await settingUp(host, jobSettings, context);
  const block = context.lines.find((line) => line.startsWith("[debug] Job settings:\n"))!;
  expect(block).toContain("\n    DISTRI=opensuse\n");
  expect(block).toContain("\n    _SECRET_X=[redacted]");
  expect(context.lines.join()).not.toContain("geheim");
});

test("files with secrets are for the worker's user alone and replace what stands there", async () => {
  await using host = await JobHost.make({ ...files, precious: "kept" });
  for (const name of ["vars.json", "job.json"]) await symlink(host.path("precious"), join(host.pool, name));
  await settingUp(host, jobSettings);
  for (const name of ["vars.json", "job.json"])
    expect((await stat(join(host.pool, name))).mode & 0o777).toBe(0o600);
  expect(await readFile(host.path("precious"), "utf8")).toBe("kept");
});

test("placeholders in a cycle are logged and the job goes on", async () => {
  await using host = await JobHost.make(files);
  const context = recordingContext();
  const { vars } = await settingUp(host, { ...jobSettings, A: "%B%", B: "%A%" }, context);
  expect(vars).toMatchObject({ A: "%B%", B: "%A%" });
  expect(context.lines).toContain(
    "[error] Expanding placeholders failed: Error: The key B contains a circular reference, its value is %A%.",
  );
});

describe("a failed set-up leaves no vars.json", () => {
  const rows: readonly (readonly [Record<string, string>, string, string])[] = [
    [{ ISO: "none.iso" }, "asset failure", "Cannot find ISO asset iso/none.iso!"],
    [{ DISTRI: "x", ISO: "" }, "setup failure", "The source directory ROOT/x does not exist"],
    [
      { HDD_1: "../../etc/passwd" },
      "asset failure",
      'Cannot find HDD_1 asset "hdd/../../etc/passwd": this is',
    ],
  ];
  for (const [settings, category, text] of rows)
    test(text, async () => {
      await using host = await JobHost.make(files);
      const error = await settingUp(host, { ...jobSettings, ...settings }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(SetupFailure);
      expect(error.category).toBe(category);
      expect(error.message).toStartWith(text.replace("ROOT", host.path("share/tests")));
      expect(await readdir(host.pool)).not.toContain("vars.json");
    });
});

test("whatever else breaks is a set-up failure with its text", async () => {
  await using host = await JobHost.make(files);
  await Bun.$`rmdir ${host.pool}`;
  const error = await settingUp(host, jobSettings).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(SetupFailure);
  expect(error.category).toBe("setup failure");
  expect(error.message).toContain("ENOENT");
});

test("values of 10 MB reach isotovideo and make no long error texts", async () => {
  await using host = await JobHost.make(files);
  const value = "x".repeat(1e7);
  expect((await settingUp(host, { ...jobSettings, BIG: value })).vars["BIG"]).toBe(value);
  const error = await settingUp(host, { ...jobSettings, CASEDIR: value }).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(SetupFailure);
  expect(error.message.length).toBeLessThan(2000);
});

test("a job that is stopped keeps its own reason, whatever breaks", async () => {
  await using host = await JobHost.make(files);
  const stopped = new Error("stopped");
  const context = recordingContext(AbortSignal.abort(stopped));
  await expect(settingUp(host, { ...jobSettings, ISO: "none.iso" }, context)).rejects.toBe(stopped);
});

describe("SYNC_ASSETS_HOOK", () => {
  const withHook = (command: string, env = {}) =>
    JobHost.make(files, `[global]\nSYNC_ASSETS_HOOK = ${command}\n`, { PATH: process.env["PATH"], ...env });

  test("runs in the pool before assets are looked for, unexpanded, and its output is logged", async () => {
    await using host = await withHook(
      "echo %DISTRI% $OPENQA_SHAREDIR $VNC; pwd; echo x >$OPENQA_SHAREDIR/factory/iso/late.iso",
    );
    const context = recordingContext();
    const { vars } = await settingUp(host, { ...jobSettings, ISO: "late.iso" }, context);
    expect(vars["ISO"]).toBe("late.iso");
    expect(context.lines).toContain(
      `[info] Output of SYNC_ASSETS_HOOK:\n%DISTRI% ${host.share} 91\n${host.pool}`,
    );
  });

  test("may fail", async () => {
    await using host = await withHook("echo gone >&2; exit 3");
    const context = recordingContext();
    await settingUp(host, jobSettings, context);
    expect(context.lines).toContain("[warn] SYNC_ASSETS_HOOK has failed with exit code 3");
    expect(context.lines).toContain("[info] Output of SYNC_ASSETS_HOOK:\ngone");
  });

  test("may leave something running that holds its output", async () => {
    await using host = await withHook("sleep 60 & echo $! >pid");
    await settingUp(host, jobSettings);
    process.kill(Number(await readFile(join(host.pool, "pid"), "utf8")), "SIGKILL");
  });

  test("is never the job's", async () => {
    await using host = await JobHost.make(files);
    await settingUp(host, { ...jobSettings, SYNC_ASSETS_HOOK: "touch evil" });
    expect(await readdir(host.pool)).not.toContain("evil");
  });

  test("does not see BUN_ variables", async () => {
    await using host = await withHook("env", { BUN_OPTIONS: "x", SEEN: "y" });
    const context = recordingContext();
    await settingUp(host, jobSettings, context);
    expect(context.lines.join("\n")).toContain("SEEN=y");
    expect(context.lines.join("\n")).not.toContain("BUN_OPTIONS");
  });

  test("is ended with all that it started when the set-up is stopped", async () => {
    await using host = await withHook("trap '' TERM; setsid sleep 60 & sleep 60 & touch ready; wait");
    const stop = new AbortController();
    const stopped = new Error("stopped");
    const found = settingUp(host, jobSettings, recordingContext(stop.signal)).catch((error) => error);
    while (!(await Bun.file(join(host.pool, "ready")).exists())) await Bun.sleep(10);
    expect(await livingDescendants()).not.toEqual([]);
    stop.abort(stopped);
    expect(await found).toBe(stopped);
    expect(await livingDescendants()).toEqual([]);
    expect(await readdir(host.pool)).not.toContain("vars.json");
  }, 20_000);
});
