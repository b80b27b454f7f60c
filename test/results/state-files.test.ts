import { expect, test } from "bun:test";
import { symlink, truncate } from "node:fs/promises";
import {
  readAutoinstStatus,
  readBaseState,
  readModuleResult,
  readTestOrder,
  type StateFolder,
} from "../../src/results/state-files.ts";
import { makeFifo, TemporaryPool } from "./temporary-pool.ts";
import { recordingContext } from "./web-ui-double.ts";

const resultFile = "testresults/result-boot.json";
const nothing = { status: "", currentModule: "", testExecutionPaused: 0 };

function folderOf({ directory }: TemporaryPool): StateFolder {
  return { poolDirectory: directory, maxFileBytes: 1e6 };
}

test.each([
  [
    { status: "running", current_test: "boot", test_execution_paused: 0 },
    { status: "running", currentModule: "boot", testExecutionPaused: 0 },
  ],
  [
    { status: "running", current_test: null, test_execution_paused: "why" },
    { status: "running", currentModule: "", testExecutionPaused: "why" },
  ],
  [{ status: 3, current_test: ["boot"] }, nothing],
  ['{"status":"runn', nothing],
  ["", nothing],
  ["[]", nothing],
  [undefined, nothing],
])("autoinst-status.json %j is read as %j", async (content, expected) => {
  await using pool = await TemporaryPool.make(
    content === undefined ? {} : { "autoinst-status.json": content },
  );
  expect(await readAutoinstStatus(folderOf(pool), recordingContext().log)).toEqual(expected);
});

test("a test order keeps all keys and tells when it has changed", async () => {
  const boot = { name: "boot", category: "tests", script: "tests/boot.pm", flags: { fatal: 1 }, odd: [1] };
  await using pool = await TemporaryPool.make({ "testresults/test_order.json": [boot] });
  const { log } = recordingContext();
  const first = await readTestOrder(folderOf(pool), undefined, log);
  expect(first?.modules).toEqual([boot]);
  expect(await readTestOrder(folderOf(pool), first, log)).toBe(first!);
  await pool.write({ "testresults/test_order.json": [boot, { ...boot, name: "more" }] });
  const second = await readTestOrder(folderOf(pool), first, log);
  expect(second?.modules.map(({ name }) => name)).toEqual(["boot", "more"]);
  expect(second?.version).not.toBe(first?.version);
});

test("modules that a server would refuse are left out of the test order and logged", async () => {
  const good = { name: "boot", category: "tests", script: "tests/boot.pm" };
  const bad = ["name", "category", "script"].flatMap((key) => [
    { ...good, [key]: "" },
    { ...good, [key]: undefined },
    { ...good, [key]: 1 },
  ]);
  const order = [
    ...bad,
    { ...good, name: "../boot" },
    { ...good, name: ".." },
    { ...good, flags: "x" },
    null,
    "boot",
    good,
  ];
  await using pool = await TemporaryPool.make({ "testresults/test_order.json": order });
  const context = recordingContext();
  expect((await readTestOrder(folderOf(pool), undefined, context.log))?.modules).toEqual([good]);
  expect(context.lines).toHaveLength(1);
  expect(context.lines[0]).toContain("warn Ignoring 14 of 15 entries in testresults/test_order.json");
});

test.each(['[{"name":"bo', "{}", "", "null"])(
  "the known test order outlives the content %j",
  async (content) => {
    await using pool = await TemporaryPool.make({ "testresults/test_order.json": content });
    const known = { version: "1", modules: [] };
    const context = recordingContext();
    expect(await readTestOrder(folderOf(pool), known, context.log)).toBe(known);
    expect(await readTestOrder(folderOf(pool), undefined, context.log)).toBeUndefined();
    expect(context.lines[0]).toStartWith("warn Ignoring testresults/test_order.json: ");
  },
);

test("a result file keeps keys that nobody knows", async () => {
  const result = {
    result: "ok",
    dents: 1,
    execution_time: 4,
    odd: { a: [null] },
    details: [
      { screenshot: "boot-1.png", title: "x", odd: 1, needles: [{ name: "n", json: "j" }] },
      { text: "a.txt", result: null },
    ],
    extra_test_results: [{ name: "more", category: "c", script: "s", flags: {}, odd: 1 }],
  };
  await using pool = await TemporaryPool.make({ [resultFile]: result });
  expect(await readModuleResult(folderOf(pool), "boot", recordingContext().log)).toEqual(result);
});

test("of very many steps all are kept, in their order", async () => {
  const details = Array.from({ length: 2500 }, (_, step) => ({ text: `boot-${step}.txt`, result: "ok" }));
  await using pool = await TemporaryPool.make({ [resultFile]: { result: "ok", details } });
  const read = await readModuleResult(folderOf(pool), "boot", recordingContext().log);
  expect(read?.details).toEqual(details);
});

test.each(["../x.png", "/etc/passwd", "..", ".", "a/b.png", "a\0.png", 7, [["a.png"]], {}])(
  "a step whose file is %j is left out",
  async (name) => {
    const good = { text: "good.txt" };
    const details = [{ screenshot: name }, good, { text: name }, { audio: name }];
    await using pool = await TemporaryPool.make({ [resultFile]: { result: "ok", details } });
    const context = recordingContext();
    expect(await readModuleResult(folderOf(pool), "boot", context.log)).toEqual({
      result: "ok",
      details: [good],
    });
    expect(context.lines[0]).toStartWith(
      `warn Ignoring 3 of 4 entries in details of ${resultFile}: entry 1 (screenshot`,
    );
  },
);

test.each([
  ['{"result":"ok","details":[{'],
  [""],
  ["null"],
  ["[]"],
  ['"ok"'],
  ['{"result":{}}'],
  ['{"details":"x"}'],
  ['{"dents":[]}'],
])("a result file %j counts as none", async (content) => {
  await using pool = await TemporaryPool.make({ [resultFile]: content });
  const context = recordingContext();
  expect(await readModuleResult(folderOf(pool), "boot", context.log)).toBeUndefined();
  expect(context.lines[0]).toStartWith(`warn Ignoring ${resultFile}: `);
});

const traps: Readonly<Record<string, (pool: TemporaryPool) => Promise<void>>> = {
  "a link": (pool) => symlink(`${pool.outside}/secret`, pool.path(resultFile)),
  "a FIFO": (pool) => makeFifo(pool.path(resultFile)),
  "100 MB": async (pool) => {
    await pool.write({ [resultFile]: '{"result":"ok"}' });
    await truncate(pool.path(resultFile), 100 * 1024 * 1024);
  },
};
test.each(Object.entries(traps))("a result file that is %s counts as none", async (_, setUp) => {
  await using pool = await TemporaryPool.make({ "testresults/other": "" });
  await setUp(pool);
  const context = recordingContext();
  expect(await readModuleResult(folderOf(pool), "boot", context.log)).toBeUndefined();
  expect(context.lines[0]).toStartWith(`warn Ignoring ${resultFile}: `);
});

test.each([
  [undefined, { kind: "absent" }],
  [
    { component: "backend", msg: "QEMU\nexited", result: "incomplete", odd: 1 },
    { kind: "object", component: "backend", msg: "QEMU\nexited", result: "incomplete" },
  ],
  [{}, { kind: "object" }],
  [
    { msg: "x", component: 5, result: null },
    { kind: "object", msg: "x" },
  ],
  ["", { kind: "corrupt" }],
  ['{"msg":', { kind: "corrupt" }],
  ["[]", { kind: "corrupt" }],
  ["null", { kind: "corrupt" }],
] as const)("base_state.json %j is %j", async (content, expected) => {
  await using pool = await TemporaryPool.make(content === undefined ? {} : { "base_state.json": content });
  expect<unknown>(await readBaseState(folderOf(pool), recordingContext().log)).toEqual(expected);
});
