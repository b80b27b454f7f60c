import { expect, test } from "bun:test";
import {
  modulesDue,
  nextReport,
  nothingReported,
  type Progress,
  type Seen,
} from "../../src/results/progress.ts";
import type { ModuleResult, TestModule } from "../../src/results/state-files.ts";

function module(name: string): TestModule {
  return { name, category: "tests", script: `tests/${name}.pm` };
}

function seen(currentModule: string, more: Partial<Seen> = {}): Seen {
  const order = ["a", "b", "c"].map(module);
  return { order, orderVersion: "1", currentModule, isPaused: false, isLast: false, ...more };
}

function after(currentModule: string, ...sentModules: string[]): Progress {
  return { currentModule, sentModules, orderVersion: "1" };
}

function readable(...names: string[]): Map<string, ModuleResult> {
  return new Map(names.map((name) => [name, { result: "ok", details: [{ text: `${name}.txt` }] }]));
}

/** "a b*" = result of a, b marked as running; "b+*" = running but with its details. */
function shown(results: ReadonlyMap<string, ModuleResult>): string {
  return [...results]
    .map(([name, { result, details }]) => (result === "running" ? `${name}${details ? "+" : ""}*` : name))
    .join(" ");
}

const paused = { isPaused: true };
const last = { isLast: true };
test.each<[string, Progress, Seen, string[], string, string[]]>([
  // what, reported so far, seen now, readable results → results of the post, sent for good afterwards
  ["nothing runs yet", nothingReported, seen(""), [], "", []],
  ["the first module is only noted", nothingReported, seen("a"), [], "a*", []],
  ["also when it is not the first of the order", nothingReported, seen("b"), ["a"], "b*", []],
  ["still the same module", after("a"), seen("a"), [], "a*", []],
  ["the next module runs", after("a"), seen("b"), ["a"], "a b*", ["a"]],
  ["between modules", after("a"), seen(""), ["a"], "a", ["a"]],
  ["after a pause between modules", after("", "a"), seen("b"), ["a"], "b*", ["a"]],
  ["a module passed unseen", after("a"), seen("c"), ["a", "b"], "a c*", ["a"]],
  ["it comes with the next one", after("c", "a"), seen(""), ["b", "c"], "b c", ["a", "b", "c"]],
  ["no readable result yet", after("a"), seen("b"), [], "b*", []],
  ["a gap ends the list", after("c"), seen(""), ["a", "c"], "a", ["a"]],
  ["the running module is not in the order", after("a"), seen("x"), ["a"], "a", ["a"]],
  ["the finished module is not in the order", after("x"), seen("b"), ["a"], "b*", []],
  ["paused: the current one too, as running", after("a"), seen("b", paused), ["a", "b"], "a b+*", ["a"]],
  ["paused before its result is there", after("b", "a"), seen("b", paused), [], "b*", ["a"]],
  ["still paused: it is sent again", after("b", "a"), seen("b", paused), ["b"], "b+*", ["a"]],
  ["after the pause it is sent for good", after("b", "a"), seen("c"), ["b"], "b c*", ["a", "b"]],
  ["the end: everything, nothing running", after("b", "a"), seen("b", last), ["a", "b"], "a b", ["a", "b"]],
  ["the end of what never started", nothingReported, seen("", last), [], "", []],
  ["the end does not stop at a gap", after("c", "a"), seen("", last), ["a", "c"], "a c", ["a", "c"]],
  [
    "the end while paused",
    after("b", "a"),
    seen("b", { isPaused: true, isLast: true }),
    ["a", "b"],
    "a b",
    ["a", "b"],
  ],
])("%s", (_, progress, now, names, results, sentModules) => {
  const report = nextReport(progress, now, readable(...names));
  expect(shown(report.results)).toBe(results);
  expect(report.progress).toEqual({ currentModule: now.currentModule, sentModules, orderVersion: "1" });
});

test.each<[string, Progress, Seen, string | undefined]>([
  ["first seen: all", nothingReported, seen("a"), "a b c"],
  ["known: none", after("a"), seen("a"), undefined],
  ["changed: all", { ...after("a"), orderVersion: "0" }, seen("a"), "a b c"],
  ["not there: none", nothingReported, seen("", { order: [], orderVersion: undefined }), undefined],
  ["at the end: all", after("a"), seen("a", last), "a b c"],
  [
    "at the end, not there: empty",
    nothingReported,
    seen("", { order: [], orderVersion: undefined, isLast: true }),
    "",
  ],
])("test order %s", (_, progress, now, expected) => {
  const { testOrder } = nextReport(progress, now, new Map());
  expect(testOrder?.map(({ name }) => name).join(" ")).toBe(expected);
});

test.each<[string, Progress, Seen, string[], string | undefined]>([
  ["nothing new", after("a"), seen("a"), [], undefined],
  ["the module that has ended", after("a"), seen("b"), ["a"], "a"],
  ["nothing, when its result is not there yet", after("a"), seen("b"), [], undefined],
  ["the one that is paused", after("b", "a"), seen("b", paused), ["b"], "b"],
  ["also before its first step", after("a"), seen("b", paused), ["a"], "b"],
  ["and when nothing else is due", after("b", "a"), seen("b", paused), [], "b"],
  ["not while a result before it is missing", after("a"), seen("b", paused), [], undefined],
  ["nor when it is not in the order", after("a"), seen("x", paused), ["a"], undefined],
])("developers are told of results up to: %s", (_, progress, now, names, upTo) => {
  expect(nextReport(progress, now, readable(...names)).sentUpTo).toBe(upTo);
});

test("result files that were sent are not read again until the end", () => {
  expect(modulesDue(after("b", "a"), seen("c"))).toEqual(["b"]);
  expect(modulesDue(after("b", "a"), seen("b"))).toEqual([]);
  expect(modulesDue(after("b", "a"), seen("b", last))).toEqual(["a", "b", "c"]);
});

test("extra results of a module go with it and are appended to the test order", () => {
  const results = readable("a", "x");
  results.set("a", { result: "ok", extra_test_results: [module("x"), module("y")] });
  const report = nextReport(after("a"), seen("b"), results);
  expect(shown(report.results)).toBe("a x b*");
  expect(report.testOrder).toEqual([module("x"), module("y")]);
  const end = nextReport(report.progress, seen("", last), results);
  expect(end.testOrder?.map(({ name }) => name)).toEqual(["a", "b", "c", "x", "y"]);
  expect(shown(end.results)).toBe("a x");
});

test("no module is named in the results that no test order has had", () => {
  for (const current of ["a", "b", "zz"])
    for (const isLast of [false, true]) {
      const { results } = nextReport(
        after("zz"),
        seen(current, { isLast }),
        readable("a", "b", "zz", "other"),
      );
      for (const name of results.keys()) expect(["a", "b", "c"]).toContain(name);
    }
});
