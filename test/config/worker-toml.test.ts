import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { parseWorkerToml } from "../../src/config/worker-toml.ts";
import { UsageError } from "../../src/errors.ts";
import { Sandbox } from "./sandbox.ts";

function errorOf(text: string): string {
  try {
    parseWorkerToml({ path: "F", text });
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    if (error instanceof UsageError) return error.message;
  }
  throw new Error(`no error: ${text}`);
}

describe("openqa-worker.toml refuses, naming file and line,", () => {
  const cases: readonly [what: string, text: string, message: string][] = [
    ["an unknown key", "[stop]\ngrace = 3", 'F:2: unknown key "grace" in [stop]'],
    [
      "a misspelt key",
      "\n[stop]\ngrace_sm = 3",
      'F:3: unknown key "grace_sm" in [stop] (did you mean "grace_ms"?)',
    ],
    ["upper case", '[worker]\nHOST = "x"', 'F:2: unknown key "HOST" in [worker] (did you mean "host"?)'],
    [
      "a key in the wrong table",
      "[report]\ngrace_ms = 1",
      'F:2: unknown key "grace_ms" in [report] (did you mean "grace_ms" in [stop]?)',
    ],
    [
      "a key that only jobs read",
      "[worker]\nqemucpu = 1",
      'F:2: unknown key "qemucpu" in [worker]; what is for jobs belongs to [job_settings]',
    ],
    ["an unknown table", "[timeout]\n", 'F:1: unknown table "timeout" (did you mean "timeouts"?)'],
    [
      "a key outside of tables",
      "grace_ms = 1",
      'F:1: unknown table "grace_ms" (did you mean "grace_ms" in [stop]?)',
    ],
    [
      "a text for a number",
      '[stop]\ngrace_ms = "3"',
      'F:2: stop.grace_ms is "3": expected number, received string',
    ],
    ["a fraction", "[stop]\ngrace_ms = 1.5", "F:2: stop.grace_ms is 1.5: expected int, received number"],
    ["too small a number", "[stop]\ngrace_ms = -1", "F:2: stop.grace_ms is -1: expected number to be >=0"],
    [
      "too big a number",
      "[report]\nparallel_uploads = 65",
      "F:2: report.parallel_uploads is 65: expected number to be <=64",
    ],
    [
      "a number for a switch",
      "[worker]\nlocal_upload = 0",
      "F:2: worker.local_upload is 0: expected boolean",
    ],
    ["a number for a text", "[worker]\nhost = 1", "F:2: worker.host is 1: expected string"],
    [
      "an unknown log level",
      '[worker]\nlog_level = "loud"',
      'F:2: worker.log_level is "loud": expected one of',
    ],
    [
      "a stock number out of range",
      "[worker]\nretries = -1",
      "F:2: worker.retries is -1: expected number to be >=0",
    ],
    ["a value for a table", "stop = 3", "F:1: stop is 3: expected object"],
    [
      "a list for a job",
      "[job_settings]\nx = [1]",
      "F:2: job_settings.x is [1]: expected a string, a number or",
    ],
    [
      "a secret without showing it",
      "[worker]\nipmi_password = 123",
      "F:2: worker.ipmi_password: expected string",
    ],
    ["wrong syntax", "[stop]\ngrace_ms = \n", "F:2:12: Invalid TOML document"],
    ["a key set twice", "[stop]\ngrace_ms = 1\ngrace_ms = 2", "F:3:1: Invalid TOML document"],
    ["a dangerous key", "[job_settings]\n__proto__ = 1", "F:2:"],
  ];
  test.each(cases)("%s", (_, text, message) => {
    expect(errorOf(text)).toStartWith(message);
  });

  test("all errors at once, and nothing of the text around a wrong syntax", () => {
    expect(errorOf("[stop]\nx = 1\ngrace_ms = -1\n[y]").split("\n")).toHaveLength(3);
    expect(errorOf('[worker]\nipmi_password = "geheim"\nhost =')).not.toContain("geheim");
  });
});

describe("lines are found", () => {
  const cases: readonly [what: string, text: string, origin: string][] = [
    ["below a table", "# x\n\n[stop]\n\ngrace_ms = 1", "F:5"],
    ["in a dotted key", "stop.total_ms = 1\nstop.grace_ms = 1", "F:2"],
    ["in braces", "\nstop = { total_ms = 1, grace_ms = 1 }", "F:2"],
    ["with quotes", "[ 'stop' ] # x\n\"grace_ms\" = 1", "F:2"],
    [
      "after the same key of another table",
      "[worker]\nretries = 1\n[stop]\ntotal_ms = 1\ngrace_ms = 1",
      "F:5",
    ],
    [
      "after a text that looks alike",
      '[job_settings]\na = """\n[stop]\ngrace_ms = 2\n"""\n[stop]\ngrace_ms = 1',
      "F:7",
    ],
  ];
  test.each(cases)("%s", (_, text, origin) => {
    const { own } = parseWorkerToml({ path: "F", text });
    expect(own.get("stop.grace_ms")).toMatchObject({ value: 1, origin });
  });
});

test("values become what workers.ini would have", () => {
  const { worker, jobSettings } = parseWorkerToml({
    path: "F",
    text: "[worker]\nlocal_upload = false\nretry_delay = 0.5\n[job_settings]\nflag = true\nn = 2\nx = 'y'\n\"A.b\" = ''",
  });
  const plain = (values: typeof worker) => [...values].map(([key, { value }]) => `${key}=${value}`);
  expect(plain(worker)).toEqual(["LOCAL_UPLOAD=0", "RETRY_DELAY=0.5"]);
  expect(plain(jobSettings)).toEqual(["FLAG=1", "N=2", "X=y", "A.B="]);
});

test("the packaged example sets every own key to its default", async () => {
  const text = await Bun.file(join(import.meta.dir, "../../packaging/openqa-worker.toml")).text();
  await using sandbox = await Sandbox.create();
  const defaults = (await sandbox.load()).own;
  await sandbox.write("etc/openqa/openqa-worker.toml", text);
  const settings = await sandbox.load();
  expect(settings.own).toEqual(defaults);
  const own = [...settings.origins].filter(([path]) => path.startsWith("own."));
  expect(own.filter(([, origin]) => origin === "default")).toEqual([]);
  expect(own.length).toBeGreaterThan(10);
});

test("the keys that the packaged example only mentions are known too", async () => {
  const text = await Bun.file(join(import.meta.dir, "../../packaging/openqa-worker.toml")).text();
  const { worker, jobSettings } = parseWorkerToml({ path: "F", text: text.replace(/^# (\w+ = )/gm, "$1") });
  expect([...worker.keys(), ...jobSettings.keys()]).toEqual([
    "WORKER_CLASS",
    "TERMINATE_AFTER_JOBS_DONE",
    "QEMUCPU",
  ]);
});
