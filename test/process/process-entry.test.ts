import { describe, expect, test } from "bun:test";
import { isRunning, parseStat, readProcess } from "../../src/process/process-entry.ts";
import { descendantsOf, environmentValues, listProcesses } from "../../src/process/process-list.ts";
import { signalProcess } from "../../src/process/sweep.ts";

function stat(pid: number, name: string, parentPid = 1): string {
  const fields = ["S", parentPid, pid, pid, 0, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 1, 0, 777, 0, 0];
  return `${pid} (${name}) ${fields.join(" ")}\n`;
}

describe("a line of /proc/PID/stat", () => {
  test.each(["perl", "with space", "a) S 1 (b", ") (", "new\nline", ""])(
    "is read with the name %j",
    (name) => {
      expect(parseStat(stat(12, name, 3))).toEqual({
        pid: 12,
        name,
        state: "S",
        parentPid: 3,
        sessionId: 12,
        startTicks: "777",
      });
    },
  );
  test.each(["", "12", "12 (perl) S 1", "no (perl) S 1 2 3"])("is nothing when it is %j", (text) => {
    expect(parseStat(text)).toBeUndefined();
  });
});

test("descendants are found through all generations, once each, without the roots", () => {
  const entries = [
    [2, 1],
    [3, 2],
    [4, 3],
    [5, 1],
    [6, 5],
    [7, 7],
  ].map(([pid, parent]) => parseStat(stat(pid!, "p", parent))!);
  const pids = (roots: number[]) =>
    descendantsOf(roots, entries)
      .map(({ pid }) => pid)
      .sort();
  expect(pids([2])).toEqual([3, 4]);
  expect(pids([2, 3])).toEqual([4]);
  expect(pids([1])).toEqual([2, 3, 4, 5, 6]);
  expect(pids([7, 99])).toEqual([]);
});

describe("a running process", () => {
  test("is listed with its parent, and found by what it was started with", async () => {
    const child = Bun.spawn(["sleep", "60"], { env: { MARK_A: "x", MARK: "one=two" } });
    const entry = (await listProcesses()).find(({ pid }) => pid === child.pid);
    expect(entry).toMatchObject({ parentPid: process.pid });
    expect((await environmentValues("MARK")).get(child.pid)).toBe("one=two");
    expect((await environmentValues("ARK")).has(child.pid)).toBe(false);
    child.kill();
    await child.exited;
    expect(await readProcess(child.pid)).toBeUndefined();
  });

  test("is never signalled for an earlier one of the same pid", async () => {
    const child = Bun.spawn(["sleep", "60"]);
    const { startTicks } = (await readProcess(child.pid))!;
    const earlier = { pid: child.pid, startTicks: String(Number(startTicks) - 1) };
    await signalProcess(earlier, "SIGKILL");
    expect(await isRunning(earlier)).toBe(false);
    expect(await isRunning({ pid: child.pid, startTicks })).toBe(true);
    await signalProcess({ pid: child.pid, startTicks }, "SIGTERM");
    expect(await child.exited).toBe(143);
    await signalProcess({ pid: child.pid, startTicks }, "SIGTERM");
  });
});
