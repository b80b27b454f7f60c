import { expect, test } from "bun:test";
import { conclusions, resultToSend, type StopReason } from "../../src/job/stop-reason.ts";

// result, logs, assets, last status, newbuild, duplicates
const table: Record<StopReason, readonly [string, boolean, boolean, boolean, boolean, boolean]> = {
  done: ["from base_state", true, true, true, false, false],
  died: ["incomplete", true, false, true, false, false],
  "no tests scheduled": ["incomplete", true, false, true, false, false],
  exception: ["incomplete", true, false, true, false, false],
  cancel: ["user_cancelled", true, true, true, false, false],
  obsolete: ["incomplete", true, false, true, true, false],
  abort: ["incomplete", false, false, true, false, false],
  quit: ["incomplete", false, false, true, false, true],
  timeout: ["timeout_exceeded", true, false, true, false, false],
  "setup failure": ["incomplete", true, false, false, false, false],
  "api-failure": ["incomplete", false, false, false, false, false],
  "worker broken": ["incomplete", true, false, true, false, false],
  skipped: ["skipped", false, false, false, false, false],
};

test("what each stop reason entails", () => {
  const found = Object.entries(conclusions).map(([stopReason, conclusion]) => [
    stopReason,
    [
      conclusion.result,
      conclusion.uploadsLogs,
      conclusion.uploadsAssets,
      conclusion.postsLastStatus,
      conclusion.newbuild,
      conclusion.duplicates,
    ],
  ]);
  expect(Object.fromEntries(found)).toEqual(table);
});

test("only a job that is done takes its result from isotovideo", () => {
  const baseState = { kind: "object", result: "softfailed" } as const;
  expect(resultToSend("done", baseState)).toBe("softfailed");
  expect(resultToSend("done", { kind: "object" })).toBeUndefined();
  expect(resultToSend("done", { kind: "corrupt" })).toBeUndefined();
  expect(resultToSend("done", { kind: "absent" })).toBeUndefined();
  expect(resultToSend("died", baseState)).toBe("incomplete");
  expect(resultToSend("cancel", baseState)).toBe("user_cancelled");
});
