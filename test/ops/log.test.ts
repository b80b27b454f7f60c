import { expect, test } from "bun:test";
import { formatDaemonLine, formatJobLine, fromLevel, type LogEntry, Logger } from "../../src/ops/log.ts";

const entry: LogEntry = {
  level: "info",
  text: "Stopping",
  time: Date.UTC(2026, 10, 24, 3, 35, 28, 479) + 0.266,
};

test("lines of a job look like those of the stock worker", () => {
  expect(formatJobLine(entry, "info")).toBe("[2026-11-24T03:35:28.479266Z] [info] Stopping\n");
  expect(formatJobLine(entry, "debug")).toBe(
    `[2026-11-24T03:35:28.479266Z] [info] [pid:${process.pid}] Stopping\n`,
  );
});

test("lines of the daemon name slot and job", () => {
  expect(formatDaemonLine({ ...entry, slot: 3, job: "12" }, "info")).toBe(
    "[2026-11-24T03:35:28.479266Z] [info] [slot 3] [job 12] Stopping\n",
  );
});

test("a logger marks its lines, and further sinks get what passes their level", () => {
  const all: LogEntry[] = [];
  const severe: LogEntry[] = [];
  const log = new Logger([(line) => all.push(line)], { slot: 2 }).with({ job: "7" });
  const both = log.also(fromLevel("warn", (line) => severe.push(line)));
  both.info("one");
  both.error("two");
  expect(all.map(({ text, slot, job }) => [text, slot, job])).toEqual([
    ["one", 2, "7"],
    ["two", 2, "7"],
  ]);
  expect(severe.map(({ text }) => text)).toEqual(["two"]);
});
