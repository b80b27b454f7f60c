import { describe, expect, test } from "bun:test";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { runRsync } from "../../../src/cache/sync/run-rsync.ts";
import { CacheError, TestSyncError } from "../../../src/errors.ts";
import { until } from "../../isotovideo/pool.ts";
import { recordingContext } from "../../job/job-host.ts";
import { livingDescendants } from "../../support/born-processes.ts";
import { startLockUser } from "../locks/lock-user.ts";
import { SyncSandbox } from "./sync-sandbox.ts";

/** The script waits until the test lets it go. */
const waits = "while ! [ -e go ]; do sleep 0.01; done";
const hasRun = (sandbox: SyncSandbox, times: number) =>
  until(`rsync has run ${times} times`, async () => (await sandbox.runs()).length >= times || undefined);

describe("tests are synced", () => {
  test("with all that is new, without what is gone, and the output is logged", async () => {
    await using sandbox = await SyncSandbox.create({
      "source/opensuse/main.pm": "1;",
      "source/opensuse/lib/a b.pm": "1;",
      "cache/host/tests/old/gone.pm": "",
    });
    const { output, error, lines } = await sandbox.sync();
    expect(error).toBeUndefined();
    expect(await sandbox.synced()).toEqual([
      "opensuse",
      "opensuse/lib",
      "opensuse/lib/a b.pm",
      "opensuse/main.pm",
    ]);
    expect(output).toMatch(/deleting old\/gone\.pm\n.*opensuse\/main\.pm\n/s);
    expect(lines).toContain(`[info] Output of rsync:\n${output}`);
    expect(output).not.toContain("\r");
  });

  test("into a host's folder that is not there yet, or is a link", async () => {
    await using sandbox = await SyncSandbox.create({ "source/a": "" });
    await mkdir(join(sandbox.path, "other disk"));
    await symlink(join(sandbox.path, "other disk"), sandbox.hostDirectory);
    expect((await sandbox.sync()).error).toBeUndefined();
    expect(await sandbox.synced()).toEqual(["a"]);
  });

  test("with the options that stand in front of the source", async () => {
    await using sandbox = await SyncSandbox.create({ "source/a": "", "source/.git dir/x": "" });
    const { error } = await sandbox.sync({ source: `--exclude '.git dir' ${sandbox.source}` });
    expect(error).toBeUndefined();
    expect(await sandbox.synced()).toEqual(["a"]);
  });

  test("by no shell", async () => {
    await using sandbox = await SyncSandbox.create();
    const { error } = await sandbox.sync({ source: `-z "${sandbox.source}/$(touch ${sandbox.path}/evil)"` });
    expect(error).toBeInstanceOf(CacheError);
    expect(await Bun.file(join(sandbox.path, "evil")).exists()).toBe(false);
  });

  test("by an rsync that says what it says in English, in the given environment only", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync('echo "$LC_ALL|$MARK|$HOME"');
    expect((await sandbox.sync({ mark: "slot 1" })).output).toBe("C|slot 1|");
  });

  test("never where the folder of the tests is a link: rsync would delete what it leads to", async () => {
    await using sandbox = await SyncSandbox.create({ "source/a": "", "precious/b": "", "cache/host/x": "" });
    await symlink(join(sandbox.path, "precious"), join(sandbox.hostDirectory, "tests"));
    const { error } = await sandbox.sync();
    expect(error).toBeInstanceOf(CacheError);
    expect(String(error)).toMatch(/cache\/host\/tests: it is a symbolic link.*Remove the link/);
    expect(await sandbox.synced()).toEqual(["b"]);
  });

  test("never where a file stands", async () => {
    await using sandbox = await SyncSandbox.create({ "cache/host": "a file" });
    const { error } = await sandbox.sync();
    expect(error).toBeInstanceOf(CacheError);
    expect(String(error)).toContain(`Cannot sync tests into ${sandbox.hostDirectory}/tests`);
    expect(await readFile(sandbox.hostDirectory, "utf8")).toBe("a file");
  });
});

describe("a failing rsync (field lesson 21)", () => {
  // Two tries a round, two rounds.
  test.each([
    ["exit 1", 2, "exit code 1"],
    ["exit 12", 2, "exit code 12"],
    ["exit 10", 4, "exit code 10"],
    ["exit 23", 4, "exit code 23"],
    ["exit 24", 4, "exit code 24"],
    ["[ $(wc -l <runs) = 1 ] && exit 23; exit 12", 2, "exit code 12"],
    ["[ $(wc -l <runs) = 1 ] && exit 12; exit 23", 4, "exit code 23"],
    ["kill -KILL $$", 2, "rsync was killed by signal SIGKILL"],
  ])("%p runs %i times", async (script, times, text) => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync(`echo broken >&2\n${script}`);
    const { error, lines } = await sandbox.sync();
    const rsyncExitCode = text.startsWith("exit code ") ? Number(text.slice("exit code ".length)) : undefined;
    expect(error).toBeInstanceOf(TestSyncError);
    expect(error).toMatchObject({
      message: `Failed to rsync tests: ${text}`,
      rsyncExitCode,
      cause: "broken",
    });
    expect((await sandbox.runs()).length).toBe(times);
    expect(lines.filter((line) => line === "[info] Output of rsync:\nbroken").length).toBe(times);
  });

  test("is forgotten when a later run succeeds", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync("[ $(wc -l <runs) = 3 ] && echo fine || exit 24");
    expect(await sandbox.sync()).toMatchObject({ error: undefined, output: "fine" });
  });

  test("that is not installed is named at once", async () => {
    await using sandbox = await SyncSandbox.create();
    const { error, lines } = await sandbox.sync({ environment: { PATH: "/nowhere" } });
    const text = "Failed to rsync tests: rsync is not installed (install the package rsync)";
    expect(error).toBeInstanceOf(TestSyncError);
    expect(error).toMatchObject({ message: text, rsyncExitCode: undefined });
    expect(lines.join("\n")).not.toContain("trying again");
  });

  test("that hangs is ended and named (field lesson 21)", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync("echo up; sleep 60");
    const run = {
      flags: [],
      environment: { PATH: `${sandbox.path}/bin:/usr/bin:/bin` },
      outputFolder: sandbox.path,
      maxOutputBytes: 1000,
      maxSilenceMs: 200,
    };
    const end = await runRsync(run, recordingContext());
    expect(end).toMatchObject({ problem: "rsync wrote nothing for 0.2 s and was ended", output: "up" });
    expect(await livingDescendants()).toEqual([]);
  });
});

describe("a sync that is not wanted any more", () => {
  test("is ended with all of its processes", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync("sleep 60 & wait");
    const stop = new AbortController();
    const syncing = sandbox.sync({}, recordingContext(stop.signal));
    await hasRun(sandbox, 1);
    const stopped = new Error("stopped");
    stop.abort(stopped);
    expect((await syncing).error).toBe(stopped);
    expect(await livingDescendants()).toEqual([]);
  });

  test("does not wait for its next try", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync("exit 12");
    const stop = new AbortController();
    const patient = { timeoutMs: 10_000, tries: 2, rounds: 1, retryDelayMs: 60_000 };
    const context = recordingContext(stop.signal);
    const syncing = sandbox.sync({ settings: patient }, context);
    await until("it waits", async () => context.lines.join().includes("trying again in 60 s") || undefined);
    stop.abort(new Error("stopped"));
    expect((await syncing).error).toEqual(new Error("stopped"));
  });
});

describe("several who want the same sync", () => {
  test("share one run and its output", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync(`${waits}; echo fine`);
    const syncing = [1, 2, 3].map(() => sandbox.sync());
    await hasRun(sandbox, 1);
    syncing.push(sandbox.sync());
    await sandbox.write("go", "");
    for (const { output, lines } of await Promise.all(syncing)) {
      expect(output).toBe("fine");
      expect(lines).toContain("[info] Output of rsync:\nfine");
    }
    expect(await sandbox.runs()).toEqual(["run"]);
    await sandbox.sync();
    expect(await sandbox.runs()).toEqual(["run", "run"]);
  });

  test("share its failure", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync(`${waits}; exit 1`);
    const syncing = [sandbox.sync(), sandbox.sync()];
    await sandbox.write("go", "");
    for (const { error } of await Promise.all(syncing)) expect(String(error)).toContain("exit code 1");
    expect((await sandbox.runs()).length).toBe(2);
  });

  test("may leave: it goes on while one of them waits, in the environment of those who are there", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync(`${waits}; [ $(wc -l <runs) = 2 ] && echo fine`);
    const stop = new AbortController();
    const first = sandbox.sync({ mark: "first" }, recordingContext(stop.signal));
    const second = sandbox.sync({ mark: "second" });
    await hasRun(sandbox, 1);
    stop.abort(new Error("left"));
    expect((await first).error).toEqual(new Error("left"));
    await sandbox.write("go", "");
    expect((await second).output).toBe("fine");
    expect(await sandbox.runs()).toEqual(["first", "second"]);
  });

  test("end it when the last has left; who comes then begins anew", async () => {
    await using sandbox = await SyncSandbox.create();
    await sandbox.replaceRsync(`${waits}; echo fine`);
    const stop = new AbortController();
    const leaving = [1, 2].map(() => sandbox.sync({}, recordingContext(stop.signal)));
    await hasRun(sandbox, 1);
    stop.abort(new Error("left"));
    await Bun.sleep(0);
    const late = sandbox.sync();
    for (const { error } of await Promise.all(leaving)) expect(error).toEqual(new Error("left"));
    await hasRun(sandbox, 2);
    await sandbox.write("go", "");
    expect((await late).output).toBe("fine");
    expect(await livingDescendants()).toEqual([]);
  });
});

test("one folder is never synced twice at a time, not by another process nor from another source", async () => {
  await using sandbox = await SyncSandbox.create();
  await sandbox.replaceRsync("mkdir alone || exit 1; sleep 0.05; rmdir alone");
  await using holder = startLockUser(sandbox.folder, "claim", join(sandbox.hostDirectory, "tests"));
  await holder.untilReady();
  const syncing = [sandbox.sync(), sandbox.sync({ rsyncOptions: ["-n"] })];
  await Promise.race([Promise.all(syncing), Bun.sleep(100)]);
  expect(await sandbox.runs()).toEqual([]);
  await holder.kill();
  for (const { error } of await Promise.all(syncing)) expect(error).toBeUndefined();
  expect((await sandbox.runs()).length).toBe(2);
});
