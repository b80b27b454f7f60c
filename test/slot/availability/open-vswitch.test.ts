import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { findOpenVswitchProblem } from "../../../src/slot/availability/open-vswitch.ts";
import { until } from "../../isotovideo/pool.ts";
import { recordingContext } from "../../job/job-host.ts";
import { livingDescendants } from "../../support/born-processes.ts";
import { FakePrograms } from "../fake-programs.ts";

let programs: FakePrograms;
beforeEach(async () => {
  programs = await FakePrograms.make();
});
afterEach(() => programs[Symbol.asyncDispose]());

const service = "org.example.switch";
const absent = `D-Bus service '${service}' is not running`;

interface Question {
  readonly workerClass?: string;
  readonly signal?: AbortSignal;
  readonly maxMs?: number;
}

function find({ workerClass = "qemu,tap", signal, maxMs = 20_000 }: Question = {}) {
  const settings = { workerClass, ovsDbusService: service };
  return findOpenVswitchProblem(settings, { env: programs.env }, recordingContext(signal), { maxMs });
}

async function called(count = 1): Promise<void> {
  await until(`called ${count} times`, async () => (await programs.calls()).length >= count || undefined);
}

describe("the Open vSwitch service", () => {
  test("that is there is no problem, whether it could be started or not", async () => {
    await programs.put("busctl", `note "$*"; echo b true`);
    expect(await find()).toBeUndefined();
    expect(await programs.calls()).toEqual([
      `--system call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s ${service}`,
    ]);
  });

  test("that is not there is started", async () => {
    await programs.put("busctl", `note "$6 $7 $8 $9"; echo b false`);
    expect(await find()).toBeUndefined();
    expect(await programs.calls()).toEqual([
      `NameHasOwner s ${service} `,
      `StartServiceByName su ${service} 0`,
    ]);
  });

  test("is asked for by dbus-send where there is no busctl", async () => {
    await programs.put("dbus-send", `note "$*"; echo "   boolean false"`);
    expect(await find()).toBeUndefined();
    const start =
      "--system --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus.";
    expect(await programs.calls()).toEqual([
      `${start}NameHasOwner string:${service}`,
      `${start}StartServiceByName string:${service} uint32:0`,
    ]);
    await programs.put("dbus-send", `echo "   boolean true"`);
    expect(await find()).toBeUndefined();
  });

  test.each(["tapestry", "qemu_tap", " tap", "qemu", ""])("is nothing to class %j", async (workerClass) => {
    await programs.put("busctl", "exit 1");
    expect(await find({ workerClass })).toBeUndefined();
  });

  test.each([
    [`Call failed: The name ${service} was not provided by any .service files`, ""],
    ["Call failed: The name is not activatable", ""],
    [
      `Call failed: Process ${service} exited with status 1\nmore`,
      ` (Call failed: Process ${service} exited with status 1)`,
    ],
    ["", " (exit code 1)"],
  ])("that cannot be started, the bus saying %j, is a problem", async (message, why) => {
    await programs.put(
      "busctl",
      `[ $6 = NameHasOwner ] && echo b false && exit; echo "${message}" >&2; exit 1`,
    );
    expect(await find()).toBe(absent + why);
  });

  test("is a problem where there is no bus (field lesson 34)", async () => {
    await programs.put("busctl", "echo 'Failed to connect to bus: No such file or directory' >&2; exit 1");
    expect(await find()).toBe(`${absent} (Failed to connect to bus: No such file or directory)`);
  });

  test("cannot be asked for without a program to do so (field lesson 34)", async () => {
    expect(await find()).toBe(`${absent} (neither busctl nor dbus-send is installed)`);
  });

  test("that does not answer is a problem, and the question ends", async () => {
    await programs.put("busctl", "exec /bin/sleep 60");
    expect(await find({ maxMs: 50 })).toBe(`${absent} (no end within 0.05 s)`);
    expect(await livingDescendants()).toEqual([]);
  });
});

describe("slots that ask at the same time", () => {
  test("share one question, later ones ask anew", async () => {
    await programs.put(
      "busctl",
      `note $6; [ $6 = NameHasOwner ] && echo b false && exit; echo not activatable; exit 1`,
    );
    expect(await Promise.all([find(), find(), find()])).toEqual([absent, absent, absent]);
    expect(await programs.calls()).toHaveLength(2);
    await find();
    expect(await programs.calls()).toHaveLength(4);
  });

  test("do not share the end of one of them", async () => {
    const once = `${programs.folder}/hung`;
    await programs.put("busctl", `note asked; [ -e ${once} ] || { : >${once}; exec /bin/sleep 60; }; exit 1`);
    const stop = new AbortController();
    const [first, second] = [find({ signal: stop.signal }), find()];
    await called();
    stop.abort(new Error("stopped"));
    expect(await first).toBeUndefined();
    expect(await second).toBe(`${absent} (exit code 1)`);
  });
});

test("a worker that is told to stop does not wait for the bus", async () => {
  await programs.put("busctl", "note asked; exec /bin/sleep 60");
  const stop = new AbortController();
  const finding = find({ signal: stop.signal });
  await called();
  stop.abort(new Error("stopped"));
  expect(await finding).toBeUndefined();
  await until("busctl has ended", async () => (await livingDescendants()).length === 0 || undefined);
});
