// The program that compares jobs must see what it is there for.
import { expect, test } from "bun:test";
import { differences } from "./compare.ts";
import type { JobReport, Step } from "./jobs.ts";

const step: Step = {
  title: "",
  result: "ok",
  needle: "grub-menu",
  tags: ["grub-menu"],
  picture: { name: "boot-1.png", md5: "5e94a0", path: "/image/5e9/4a0/.png" },
  text: undefined,
};

function report(changes: Partial<JobReport> = {}): JobReport {
  return {
    id: 1,
    build: "stock",
    test: "pass",
    state: "done",
    result: "passed",
    reason: undefined,
    cloneId: undefined,
    workerId: 1,
    modules: [{ name: "boot", category: "tests", result: "passed", steps: [step] }],
    logs: ["autoinst-log.txt"],
    ulogs: ["system.log"],
    assets: ["other/00000001-private.txt", "other/report-stock.txt"],
    files: ["boot-1.png"],
    ...changes,
  };
}

function withStep(changes: Partial<Step>): Partial<JobReport> {
  return {
    modules: [{ name: "boot", category: "tests", result: "passed", steps: [{ ...step, ...changes }] }],
  };
}

test("numbers, builds and md5s of pictures may differ", () => {
  const other = report({
    id: 23,
    build: "ours",
    workerId: 2,
    assets: ["other/00000023-private.txt", "other/report-ours.txt"],
    ...withStep({ picture: { name: "boot-1.png", md5: "other", path: "/image/other" } }),
  });
  expect(differences(report(), other, "steps")).toEqual([]);
});

const different: readonly [string, Partial<JobReport>][] = [
  ["result", { result: "failed" }],
  ["reason", { reason: "died" }],
  ["clone", { cloneId: 3 }],
  ["missing module", { modules: [] }],
  ["result of a module", { modules: [{ ...report().modules[0]!, result: "failed" }] }],
  ["title of a step", withStep({ title: "other" })],
  ["result of a step", withStep({ result: "fail" })],
  ["missing picture", withStep({ picture: undefined })],
  ["text", withStep({ text: { name: "boot-1.txt", content: "text" } })],
  ["further step", { modules: [{ ...report().modules[0]!, steps: [step, step] }] }],
  ["logs", { logs: [] }],
  ["user logs", { ulogs: ["system.log", "more.log"] }],
  ["assets", { assets: ["other/report-stock.txt"] }],
  ["files", { files: [] }],
];

test.each(different)("a difference is seen: %s", (_, changes) => {
  expect(differences(report(), report(changes), "steps")).not.toEqual([]);
});

test("steps do not matter where jobs are interrupted, results of modules do", () => {
  expect(differences(report(), report(withStep({ result: "fail" })), "modules")).toEqual([]);
  expect(differences(report(), report({ modules: [] }), "modules")).not.toEqual([]);
});
