import { expect, test } from "bun:test";
import { chmod, mkdir, readdir, rename, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type SpoolDisk, spoolDisk } from "../../../src/job/spool/spool-disk.ts";
import { readJobState } from "../../../src/job/state-file.ts";
import { makeFifo } from "../../results/temporary-pool.ts";
import { recordingContext } from "../job-host.ts";
import {
  endedJob,
  failure,
  filesBelow,
  jobFilesIn,
  neededFiles,
  onOtherFileSystem,
  TemporarySpool,
} from "./temporary-spool.ts";

const isNeeded: Readonly<Record<string, boolean>> = {
  "testresults/result-boot.json": true,
  "testresults/boot-1.png": true,
  "testresults/.thumbs/boot-1.png": true,
  "ulogs/a.txt": true,
  "assets_private/a.qcow2": true,
  "assets_public/b.qcow2": true,
  "autoinst-status.json": true,
  "base_state.json": true,
  "vars.json": true,
  "autoinst-log.txt": true,
  "worker-log.txt": true,
  "sut_packages.txt": true,
  serial0: true,
  "video.ogv": true,
  "video.webm": true,
  "video_time.vtt": true,
  "serial_terminal.txt": true,
  "virtio_console.log": true,
  "virtio_console1.log": true,
  "virtio_console_user.log": true,
  "raid/hd0": false,
  "qemuscreenshot/1.png": false,
  "hd.qcow2": false,
  "qemu.pid": false,
  live_log: false,
  "cdrom.iso": false,
  videos: false,
  ".locked": false,
  "os-autoinst.conf": false,
  "testresults.old/a": false,
};
const allFiles = Object.fromEntries(Object.keys(isNeeded).map((name) => [name, name]));
const needed = (wanted: boolean) =>
  Object.fromEntries(Object.entries(allFiles).filter(([name]) => isNeeded[name] === wanted));

for (const fileSystem of ["same", "other"] as const) {
  const diskOf = (here: TemporarySpool) =>
    fileSystem === "other" ? onOtherFileSystem(here.pool.directory) : {};

  test(`from the ${fileSystem} file system what is uploaded moves, all else stays`, async () => {
    await using here = await TemporarySpool.make(allFiles);
    const context = recordingContext();
    const { directory, state } = await here
      .open({ disk: diskOf(here) })
      .take(here.ended({ phase: "spooling" }), context);
    expect(await jobFilesIn(directory)).toEqual(needed(true));
    expect(await filesBelow(here.pool.directory)).toEqual(needed(false));
    expect(await readJobState(directory)).toEqual(state);
    expect(state).toEqual(endedJob);
    expect(context.lines).toEqual([]);
  });

  test(`from the ${fileSystem} file system links move as links and are not followed`, async () => {
    await using here = await TemporarySpool.make({ "ulogs/a.txt": "a" });
    const secret = join(here.pool.outside, "secret");
    await symlink(secret, here.pool.path("ulogs/link"));
    await symlink(here.pool.outside, here.pool.path("testresults"));
    await symlink("nowhere", here.pool.path("serial0"));
    const { directory } = await here.open({ disk: diskOf(here) }).take(here.ended(), recordingContext());
    expect(await jobFilesIn(directory)).toEqual({
      "ulogs/a.txt": "a",
      "ulogs/link": `-> ${secret}`,
      testresults: `-> ${here.pool.outside}`,
      serial0: "-> nowhere",
    });
    expect(await filesBelow(here.pool.outside)).toEqual({ secret: "secret" });
    expect(await readdir(here.pool.directory)).toEqual([]);
  });

  test(`from the ${fileSystem} file system the list of packages goes as a copy: later jobs need it`, async () => {
    await using here = await TemporarySpool.make({ "worker_packages.txt": "qemu" });
    const { directory } = await here.open({ disk: diskOf(here) }).take(here.ended(), recordingContext());
    expect(await jobFilesIn(directory)).toEqual({ "worker_packages.txt": "qemu" });
    expect(await filesBelow(here.pool.directory)).toEqual({ "worker_packages.txt": "qemu" });
  });

  test(`from the ${fileSystem} file system a FIFO does not move and keeps nobody waiting`, async () => {
    await using here = await TemporarySpool.make({ "ulogs/a.txt": "a" });
    await makeFifo(here.pool.path("serial0"));
    const context = recordingContext();
    const { directory } = await here.open({ disk: diskOf(here) }).take(here.ended(), context);
    expect(await jobFilesIn(directory)).toEqual({ "ulogs/a.txt": "a" });
    expect(context.lines.join("\n")).toContain("serial0 is not kept for delivery");
  });

  test(`from the ${fileSystem} file system files keep their modes, folders are their owner's`, async () => {
    await using here = await TemporarySpool.make(neededFiles);
    await chmod(here.pool.path("autoinst-log.txt"), 0o640);
    await chmod(here.pool.path("ulogs/y2logs.tar"), 0o4755);
    await chmod(here.pool.path("ulogs"), 0o555);
    const { directory } = await here.open({ disk: diskOf(here) }).take(here.ended(), recordingContext());
    const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    expect(await modeOf(join(directory, "autoinst-log.txt"))).toBe("640");
    expect(await modeOf(join(directory, "ulogs/y2logs.tar"))).toBe("755");
    const folders = [directory, join(directory, "ulogs"), here.path("waiting"), here.directory];
    for (const folder of folders) expect(await modeOf(folder)).toBe("700");
    expect(await modeOf(join(directory, ".openqa-worker/job.json"))).toBe("600");
  });
}

test("files in the place of folders, and folders in that of files, move as they are", async () => {
  const odd = { testresults: "a file", "autoinst-log.txt/a": "a folder", ulogs: "a file" };
  await using here = await TemporarySpool.make(odd);
  const { directory } = await here.open().take(here.ended(), recordingContext());
  expect(await jobFilesIn(directory)).toEqual(odd);
});

test("special files and too deep folders in a folder are left out of a copy", async () => {
  const deep = `ulogs/${"d/".repeat(20)}`;
  await using here = await TemporarySpool.make({ "ulogs/a.txt": "a", [`${deep}b.txt`]: "b" });
  await makeFifo(here.pool.path("ulogs/fifo"));
  const disk = onOtherFileSystem(here.pool.directory);
  const { directory } = await here.open({ disk }).take(here.ended(), recordingContext());
  expect(await jobFilesIn(directory)).toEqual({ "ulogs/a.txt": "a" });
});

test("vars.json stays in the pool when it still has its secrets", async () => {
  await using here = await TemporarySpool.make();
  const { directory } = await here.open().take(here.ended({}, false), recordingContext());
  const { "vars.json": vars, ...others } = neededFiles;
  expect(await jobFilesIn(directory)).toEqual(others);
  expect(await filesBelow(here.pool.directory)).toEqual({ "vars.json": vars });
});

test("what nobody may move stays behind, the rest is kept", async () => {
  await using here = await TemporarySpool.make();
  const disk: Partial<SpoolDisk> = {
    rename: async (from, to) => {
      if (String(from).endsWith("/ulogs")) throw failure("EACCES", "permission denied");
      await rename(from, to);
    },
  };
  const context = recordingContext();
  const { directory } = await here.open({ disk }).take(here.ended(), context);
  const { "ulogs/y2logs.tar": _, ...others } = neededFiles;
  expect(await jobFilesIn(directory)).toEqual(others);
  expect(context.lines).toEqual(["[error] ulogs cannot be kept for delivery: EACCES: permission denied"]);
});

test("logs that were begun anew after a crash do not take the place of those that were moved", async () => {
  await using here = await TemporarySpool.make();
  const spool = here.open();
  const disk: Partial<SpoolDisk> = {
    commitJobState: () => Promise.reject(failure("EIO", "i/o error")),
  };
  await expect(here.open({ disk }).take(here.ended(), recordingContext())).rejects.toThrow("EIO");
  await here.pool.write({ "autoinst-log.txt": "only this line" });
  const { directory } = await spool.take(here.ended(), recordingContext());
  expect(await jobFilesIn(directory)).toEqual(neededFiles);
  expect(await filesBelow(here.pool.directory)).toEqual({});
});

test.each(["same", "other"])("a power cut finds everything on disk: %s file system", async (fileSystem) => {
  await using here = await TemporarySpool.make();
  const calls: string[] = [];
  const base = { ...spoolDisk, ...(fileSystem === "other" ? onOtherFileSystem(here.pool.directory) : {}) };
  const disk = Object.fromEntries(
    Object.entries(base).map(([name, call]) => [
      name,
      async (...args: unknown[]) => {
        await (call as (...args: unknown[]) => Promise<void>)(...args);
        calls.push([name, ...args.filter((arg) => typeof arg === "string")].join(" "));
      },
    ]),
  );
  const entry = await here.open({ disk }).take(here.ended(), recordingContext());

  const { pool, directory } = here;
  const place = (call: string) => {
    expect(calls).toContain(call);
    return calls.lastIndexOf(call);
  };
  const committed = place(`commitJobState ${entry.directory}`);
  const gone = place(`removeJobState ${pool.directory}`);
  for (const name of Object.keys(neededFiles))
    expect(place(`flushFile ${entry.directory} ${name}`)).toBeLessThan(committed);
  for (const folder of ["testresults", "testresults/.thumbs", "ulogs"])
    expect(place(`flushFolder ${join(entry.directory, folder)}`)).toBeLessThan(committed);
  expect(calls.indexOf(`flushFolder ${entry.directory}`)).toBeLessThan(committed);
  const flushedLast = [
    `flushFile ${entry.directory} .openqa-worker/job.json`,
    `flushFolder ${entry.directory}/.openqa-worker`,
    ...[entry.directory, here.path("waiting"), directory, join(directory, "..")].map(
      (path) => `flushFolder ${path}`,
    ),
  ];
  for (const call of flushedLast) {
    expect(place(call)).toBeGreaterThan(committed);
    expect(place(call)).toBeLessThan(gone);
  }
  const removed = calls.findIndex((call) => call.startsWith(`removeEntries ${pool.directory}`));
  expect(removed).toBeGreaterThan(place(`flushFolder ${join(directory, "..")}`));
  expect(place(`flushFolder ${pool.directory}`)).toBeGreaterThan(gone);
});

test("a spool that is no folder is named, with what to do; the pool keeps everything", async () => {
  await using here = await TemporarySpool.make();
  await mkdir(join(here.directory, ".."), { recursive: true });
  await writeFile(here.directory, "");
  await expect(here.open().take(here.ended(), recordingContext())).rejects.toThrow(
    new RegExp(
      `^Cannot keep the results of job 12 in ${here.directory}: .*\\(it has to be a folder that the worker's user can write to\\)$`,
    ),
  );
  expect(await jobFilesIn(here.pool.directory)).toEqual(neededFiles);
  expect(await readJobState(here.pool.directory)).toEqual(endedJob);
});

test("a full disk is named, with what to do; a later try goes on", async () => {
  await using here = await TemporarySpool.make();
  const disk: Partial<SpoolDisk> = {
    ...onOtherFileSystem(here.pool.directory),
    copyFile: async (directory, name, to, context) => {
      if (name.startsWith("ulogs/")) throw failure("ENOSPC", "no space left on device");
      await spoolDisk.copyFile(directory, name, to, context);
    },
  };
  await expect(here.open({ disk }).take(here.ended(), recordingContext())).rejects.toThrow(
    "ENOSPC: no space left on device (free some space there; the results of finished jobs need it",
  );
  expect(await jobFilesIn(here.pool.directory)).toEqual(neededFiles);
  expect((await readJobState(here.pool.directory))?.phase).toBe("spooling");
  const { directory } = await here.open().take(here.ended(), recordingContext());
  expect(await jobFilesIn(directory)).toEqual(neededFiles);
});

test.each(["draftJobState", "writeJobState"] as const)(
  "a disk that has no room for the state (%s): the pool keeps everything",
  async (step) => {
    await using here = await TemporarySpool.make();
    const disk = { [step]: () => Promise.reject(failure("ENOSPC", "no space left on device")) };
    await expect(here.open({ disk }).take(here.ended(), recordingContext())).rejects.toThrow("ENOSPC");
    expect(await jobFilesIn(here.pool.directory)).toEqual(neededFiles);
  },
);

test("aborted it throws the signal's reason, and a later try goes on", async () => {
  await using here = await TemporarySpool.make();
  const stop = new AbortController();
  const disk: Partial<SpoolDisk> = {
    rename: async (from, to) => {
      await rename(from, to);
      stop.abort(new Error("time is over"));
    },
  };
  await expect(here.open({ disk }).take(here.ended(), recordingContext(stop.signal))).rejects.toThrow(
    "time is over",
  );
  expect(await here.open().waiting(recordingContext())).toEqual([]);
  const { directory } = await here.open().take(here.ended(), recordingContext());
  expect(await jobFilesIn(directory)).toEqual(neededFiles);
});

test.each([
  [{ job: { id: "../../etc" } }],
  [{ job: { id: "" } }],
  [{ acceptedAt: 1e300 }],
  [{ acceptedAt: -1.5 }],
  [{ host: "../x\n" }],
])("a job with %p gets a name that is safe and can be delivered", async (odd) => {
  await using here = await TemporarySpool.make();
  const { directory } = await here.open().take(here.ended(odd), recordingContext());
  expect(join(directory, "..")).toBe(here.path("waiting"));
  expect((await here.open().waiting(recordingContext())).map(({ state }) => state)).toMatchObject([odd]);
});
