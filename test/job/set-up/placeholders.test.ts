import { describe, expect, test } from "bun:test";
import { expandPlaceholders } from "../../../src/job/set-up/placeholders.ts";

const settings = { DISTRI: "opensuse", VERSION: "15.6", NAME: "%DISTRI%-%VERSION%", empty_1: "" };

describe("a value with placeholders", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["%DISTRI%", "opensuse"],
    ["a %DISTRI%/%VERSION%.iso", "a opensuse/15.6.iso"],
    ["%NAME%", "opensuse-15.6"],
    ["%UNKNOWN%", ""],
    ["x%empty_1%y", "xy"],
    ["%distri%", ""],
    ["%%DISTRI%%", "%DISTRI%"],
    ["%%DISTRI%", "%DISTRI"],
    ["%DISTRI%%", "DISTRI%"],
    ["%%%DISTRI%%%", "%%DISTRI%%"],
    ["%DISTRI%%VERSION%", "DISTRI%VERSION%"],
    ["%CASEDIR%/needles", "%CASEDIR%/needles"],
    ["%%CASEDIR%%", "%%CASEDIR%%"],
    ["100%", "100%"],
    ["50% of %DISTRI%", "50% of opensuse"],
    ["% DISTRI %", "% DISTRI %"],
    ["%__proto__%%", "__proto__%"],
    ["%constructor%", ""],
    ["%__proto__%", ""],
  ];
  for (const [value, expected] of rows)
    test(`${value} → ${expected}`, () => {
      expect(expandPlaceholders({ ...settings, VALUE: value })).toEqual({
        settings: { ...settings, NAME: "opensuse-15.6", VALUE: expected },
      });
    });
});

test("the order of settings does not matter", () => {
  const [first, second] = [{ A: "%B%" }, { B: "%%C%%", C: "c" }];
  const expected = { A: "%C%", B: "%C%", C: "c" };
  expect(expandPlaceholders({ ...first, ...second }).settings).toEqual(expected);
  expect(expandPlaceholders({ ...second, ...first }).settings).toEqual(expected);
});

test("with a cycle, what was not done by then stays as it was given", () => {
  const given = { A: "%D%", D: "d", B: "%C%", C: "%B%", E: "%D%" };
  expect(expandPlaceholders(given)).toEqual({
    settings: { A: "d", D: "d", B: "%C%", C: "%B%", E: "%D%" },
    error: "The key C contains a circular reference, its value is %B%.",
  });
  expect(expandPlaceholders({ A: "x%A%" }).error).toBe(
    "The key A contains a circular reference, its value is x%A%.",
  );
});

test("the error about a cycle shows no secret and no long value", () => {
  expect(expandPlaceholders({ _SECRET_A: "geheim%_SECRET_A%" }).error).not.toContain("geheim");
  expect(expandPlaceholders({ A: `%A%${"x".repeat(1e6)}` }).error!.length).toBeLessThan(400);
});

describe("settings made to grow or to last are given up", () => {
  const levels = (value: (next: string) => string) =>
    Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`L${n}`, value(`%L${n + 1}%`)]));
  const chain = Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`L${n}`, `%L${n + 1}%`]));
  const rows: readonly (readonly [string, Record<string, string>, string])[] = [
    ["doubling", { ...levels((next) => `${next} ${next}`), L40: "x".repeat(100) }, "Values of more than"],
    ["a long chain", chain, "keys that name each other"],
    ["many placeholders", { A: "%B% ".repeat(2e6) }, "placeholders"],
  ];
  for (const [name, given, expected] of rows)
    test(name, () => {
      const start = performance.now();
      const { settings: expanded, error } = expandPlaceholders(given);
      expect(error).toContain(expected);
      expect(Object.keys(expanded)).toEqual(Object.keys(given));
      expect(performance.now() - start).toBeLessThan(3000);
    });
});

test("values of 10 MB and odd keys are no trouble", () => {
  for (const text of ["%".repeat(1e7), `%${"a".repeat(1e7)}`, "x".repeat(1e7)])
    expect(expandPlaceholders({ A: text }).settings["A"]!.length).toBeGreaterThanOrEqual(1e7);
  const odd: Record<string, string> = JSON.parse('{"__proto__":"%A%","":"%A%","toString":"%A%","A":"a"}');
  expect(JSON.stringify(expandPlaceholders(odd).settings)).toBe(
    '{"__proto__":"a","":"a","toString":"a","A":"a"}',
  );
});
