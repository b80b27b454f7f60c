import { describe, expect, test } from "bun:test";
import { SetupFailure } from "../../src/errors.ts";
import { nothingFound } from "../../src/job/log-search.ts";
import { dependsOnLog, formatReason, type ReasonInput } from "../../src/job/reason.ts";
import type { StopReason } from "../../src/job/stop-reason.ts";
import type { BaseState } from "../../src/results/state-files.ts";

const corrupt: BaseState = { kind: "corrupt" };
const diskFull = { isDiskFull: true };
const kvm = {
  isDiskFull: false,
  qemuFailure: "Failed to allocate KVM HPT of order 25 (try smaller maxmem?): Cannot allocate memory",
};

function state(component?: string, msg?: string, result?: string): BaseState {
  return {
    kind: "object",
    ...(component !== undefined && { component }),
    ...(msg !== undefined && { msg }),
    ...(result !== undefined && { result }),
  };
}

function reason(stopReason: StopReason, more: Partial<ReasonInput> = {}): string | undefined {
  return formatReason({
    stopReason,
    hasStarted: true,
    baseState: { kind: "absent" },
    log: nothingFound,
    ...more,
  });
}

describe("every form of a reason, which servers match (field lesson 26; disk full: field lesson 27)", () => {
  const failed = (category: SetupFailure["category"], text: string) => ({
    failure: new SetupFailure(category, text),
  });
  const rows: readonly (readonly [string, StopReason, Partial<ReasonInput>, string | undefined])[] = [
    ["1, while it runs", "timeout", {}, "timeout: test execution exceeded MAX_JOB_TIME"],
    ["1, in the set-up", "timeout", { hasStarted: false }, "timeout: setup exceeded MAX_SETUP_TIME"],
    [
      "2",
      "setup failure",
      failed("setup failure", "The source directory /tests/opensuse does not exist"),
      "setup failure: The source directory /tests/opensuse does not exist",
    ],
    [
      "2, of an asset",
      "setup failure",
      failed("asset failure", "Cannot find ISO asset iso/tiny.iso!"),
      "asset failure: Cannot find ISO asset iso/tiny.iso!",
    ],
    [
      "2, of the cache",
      "setup failure",
      failed("cache failure", "No workers active in the cache service"),
      "cache failure: No workers active in the cache service",
    ],
    [
      "3, a call out of tries",
      "api-failure",
      { apiError: "503 response: Service Unavailable" },
      "api failure: 503 response: Service Unavailable",
    ],
    [
      "3, no connection",
      "api-failure",
      { apiError: "Connection error: Connection refused" },
      "api failure: Connection error: Connection refused",
    ],
    [
      "3, a failed registration",
      "api-failure",
      { apiError: "Failed to register at http://openqa.example - 503 response: Service Unavailable" },
      "api failure: Failed to register at http://openqa.example - 503 response: Service Unavailable",
    ],
    [
      "3, no websocket",
      "api-failure",
      { apiError: "Unable to upgrade to ws connection via http://openqa.example/api/v1/ws/1, code 502" },
      "api failure: Unable to upgrade to ws connection via http://openqa.example/api/v1/ws/1, code 502",
    ],
    ["3, no error remembered", "api-failure", {}, "api failure"],
    ["4", "quit", {}, "quit: worker has been stopped or restarted"],
    ["5", "cancel", {}, undefined],
    [
      "6, an upload",
      "worker broken",
      {
        uploadError:
          "Unable to optimize image: optipng exited with non-zero return code 1 - You may disable optimizations via OPTIMIZE_IMAGES=0.",
      },
      "worker broken: Unable to optimize image: optipng exited with non-zero return code 1 - You may disable optimizations via OPTIMIZE_IMAGES=0.",
    ],
    [
      "6, the slot",
      "worker broken",
      { brokenBecause: "Unable to lock pool directory: /pool/1 already locked" },
      "worker broken: Unable to lock pool directory: /pool/1 already locked",
    ],
    ["6, without a text", "worker broken", {}, "worker broken"],
    [
      "7",
      "died",
      { baseState: corrupt },
      "terminated prematurely: Encountered corrupted state file, see log output for details",
    ],
    [
      "7, disk full",
      "died",
      { baseState: corrupt, log: diskFull },
      "terminated prematurely: Encountered corrupted state file: No space left on device, see log output for details",
    ],
    ["7, done", "done", { baseState: corrupt }, "done: terminated with corrupted state file"],
    [
      "7, done, disk full",
      "done",
      { baseState: corrupt, log: diskFull },
      "done: terminated with corrupted state file: No space left on device",
    ],
    [
      "8, backend",
      "died",
      { baseState: state("backend", "QEMU exited unexpectedly, see log for details") },
      "backend died: QEMU exited unexpectedly, see log for details",
    ],
    [
      "8, tests",
      "died",
      {
        baseState: state("tests", "unable to load main.pm, check the log for the cause (e.g. syntax error)"),
      },
      "tests died: unable to load main.pm, check the log for the cause (e.g. syntax error)",
    ],
    [
      "8, too many steps",
      "done",
      {
        baseState: state("tests", "Maximum allowed test steps (MAX_TEST_STEPS=50000) exceeded", "incomplete"),
      },
      "tests done: Maximum allowed test steps (MAX_TEST_STEPS=50000) exceeded",
    ],
    [
      "8, stopped by us",
      "obsolete",
      { baseState: state("isotovideo", "isotovideo received signal TERM") },
      "isotovideo obsolete: isotovideo received signal TERM",
    ],
    [
      "8, no component",
      "died",
      { baseState: state(undefined, "no candidate needle") },
      "died: no candidate needle",
    ],
    ["8, no message", "died", { baseState: state("backend") }, "backend died"],
    [
      "8, the first line alone",
      "died",
      { baseState: state("backend", "VNC: connection refused\n at lib.pm line 3\n") },
      "backend died: VNC: connection refused",
    ],
    [
      "8, QEMU exited with a known cause",
      "died",
      { baseState: state("backend", "QEMU exited unexpectedly, see log for details"), log: kvm },
      "QEMU terminated: Failed to allocate KVM HPT of order 25 (try smaller maxmem?): Cannot allocate memory, see log output of details",
    ],
    [
      "8, QEMU terminated with a known cause",
      "died",
      {
        baseState: state("backend", "QEMU terminated before QMP connection could be established"),
        log: {
          isDiskFull: false,
          qemuFailure: "Could not find '/usr/sbin/smbd', please install it",
        },
      },
      "QEMU terminated: Could not find '/usr/sbin/smbd', please install it, see log output of details",
    ],
    [
      "8, the cause does not count for other failures",
      "died",
      { baseState: state("backend", "VNC timed out"), log: kvm },
      "backend died: VNC timed out",
    ],
    ["9", "died", {}, "died: terminated prematurely, see log output for details"],
    [
      "9, an empty state",
      "died",
      { baseState: state() },
      "died: terminated prematurely, see log output for details",
    ],
    ["10", "done", {}, undefined],
    [
      "10, the last status failed",
      "done",
      { uploadError: "Unable to upload images: posting status failed" },
      "api failure: Unable to upload images: posting status failed",
    ],
    [
      "10, a picture failed",
      "done",
      { uploadError: "Unable to upload images: Error uploading a.png: 500 response: Internal Server Error" },
      "api failure: Unable to upload images: Error uploading a.png: 500 response: Internal Server Error",
    ],
    [
      "10, a known cause wins over a failed upload",
      "died",
      { uploadError: "Unable to upload images: posting status failed" },
      "died: terminated prematurely, see log output for details",
    ],
    ["11, as the result", "skipped", {}, undefined],
    ["11, no tests", "no tests scheduled", {}, "no tests scheduled"],
    ["11, obsolete", "obsolete", {}, "obsolete"],
    ["11, abort", "abort", {}, "abort"],
    ["11, exception", "exception", {}, "exception"],
  ];
  for (const [name, stopReason, input, expected] of rows) {
    test(`${stopReason}: ${name}`, () => expect(reason(stopReason, input)).toBe(expected!));
  }
});

describe("numbers 1 to 5 do not look at the state file", () => {
  for (const stopReason of ["timeout", "api-failure", "quit", "cancel"] as const)
    test(stopReason, () => {
      const baseState = state("backend", "QEMU exited unexpectedly");
      expect(reason(stopReason, { baseState })).toBe(reason(stopReason)!);
      expect(reason(stopReason, { baseState: corrupt })).toBe(reason(stopReason)!);
    });
});

test("the log is searched only where the reason may depend on it", () => {
  const depends = (stopReason: StopReason, baseState: BaseState) => dependsOnLog({ stopReason, baseState });
  expect(depends("died", corrupt)).toBe(true);
  expect(depends("died", state("backend", "QEMU exited unexpectedly, see log"))).toBe(true);
  expect(depends("died", state("backend", "QEMU terminated before QMP"))).toBe(true);
  expect(depends("died", state("backend", "VNC timed out"))).toBe(false);
  expect(depends("done", { kind: "absent" })).toBe(false);
});

test("a reason of any length fits into a request and is cut between characters", () => {
  const long = reason("died", { baseState: state("backend", "💥".repeat(1_000_000)) })!;
  expect([...long].length).toBe(400);
  expect(long.isWellFormed()).toBe(true);
  expect(new URLSearchParams({ reason: long }).toString().length).toBeLessThan(6000);
});
