import { describe, expect, spyOn, test } from "bun:test";
import { CommanderError } from "commander";
import { UsageError } from "../../src/errors.ts";
import { parseBenchCommand } from "./bench-options.ts";

const known = ["memory", "cpu", "cache"];
const parse = (line: string) => parseBenchCommand(line === "" ? [] : line.split(" "), known);

describe("the benchmark's command line", () => {
  test("means all parts with five rounds, and writes nothing, when it is empty", () => {
    expect(parse("")).toEqual({
      parts: known,
      rounds: 5,
      json: undefined,
      svg: undefined,
      list: false,
      redraw: false,
    });
  });

  test("picks parts, each once and in their own order", () => {
    expect(parse("cache memory cache").parts).toEqual(["memory", "cache"]);
  });

  test("takes rounds and files before and after the parts", () => {
    const { parts, rounds, json, svg } = parse("--rounds 7 cpu --json a.json --svg b.svg");
    expect({ parts, rounds, json, svg }).toEqual({ parts: ["cpu"], rounds: 7, json: "a.json", svg: "b.svg" });
  });

  test("refuses unknown parts and names those that there are", () => {
    expect(() => parse("cpu dns memori")).toThrow(
      new UsageError("no part is called dns, memori; there are memory, cpu, cache"),
    );
  });

  test("refuses to draw again without figures", () => {
    expect(() => parse("--redraw --svg a.svg")).toThrow(UsageError);
  });

  test.each(["0", "101", "1.5", "-1", "many", ""])("refuses %p rounds", (rounds) => {
    const stderr = spyOn(process.stderr, "write").mockReturnValue(true);
    try {
      expect(() => parseBenchCommand(["--rounds", rounds], known)).toThrow(CommanderError);
      expect(String(stderr.mock.calls[0]?.[0])).toContain("expected a number from 1 to 100");
    } finally {
      stderr.mockRestore();
    }
  });
});
