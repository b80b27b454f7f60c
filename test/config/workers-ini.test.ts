import { describe, expect, test } from "bun:test";
import { parseIni } from "../../src/config/ini.ts";
import { mergeFiles, slotValues } from "../../src/config/workers-ini.ts";

function valuesOf(instance: number, ...texts: string[]) {
  const files = texts.map((text, index) => parseIni(text, `F${index + 1}`));
  return slotValues(mergeFiles(files), instance);
}

function plainValues(instance: number, ...texts: string[]): Record<string, string> {
  return Object.fromEntries([...valuesOf(instance, ...texts)].map(([key, { value }]) => [key, value]));
}

describe("sections of a slot", () => {
  const text = `
[3]
A = 3
[global]
A = global
[1,4]
A = 1,4
[2-3]
B = 2-3
[5, 7 - 8]
A = 5, 7 - 8
[03]
C = padded
[x3]
A = no
[3-]
A = no
`;
  const cases: readonly [instance: number, values: Record<string, string>][] = [
    [1, { A: "1,4" }],
    [2, { A: "global", B: "2-3" }],
    [3, { A: "3", B: "2-3", C: "padded" }],
    [4, { A: "1,4" }],
    [6, { A: "global" }],
    [7, { A: "5, 7 - 8" }],
    [14, { A: "global" }],
  ];
  test.each(cases)("slot %i", (instance, values) => {
    expect(plainValues(instance, text)).toEqual(values);
  });

  test("apply in the order of the file, whatever their form", () => {
    expect(plainValues(1, "[1-2]\nA=1\n[1]\nA=2\n[1,9]\nA=3")).toEqual({ A: "3" });
    expect(plainValues(1, "[1]\nA=2\n[1-2]\nA=1")).toEqual({ A: "1" });
  });
});

describe("sections of classes", () => {
  const text = `
[global]
WORKER_CLASS = a,b,x y
A = global
[class:a]
A = no
B = a
WORKER_CLASS = c
[class:b]
B = b
C += b
A += no
[class:c]
D = c
[class:x y]
E = literal
`;
  test("fill in what is not set yet, in the order of the classes", () => {
    expect(plainValues(1, text)).toEqual({
      WORKER_CLASS: "a,b,x y",
      A: "global",
      B: "a",
      C: "b",
      E: "literal",
    });
  });
  test("are those of the class that the slot ends up with", () => {
    expect(plainValues(1, `${text}[1]\nWORKER_CLASS = c`)).toEqual({
      WORKER_CLASS: "c",
      A: "global",
      D: "c",
    });
  });
  test("are found letter by letter: nothing is trimmed", () => {
    expect(plainValues(1, "[1]\nWORKER_CLASS = a, b\n[class:b]\nA=1")).toEqual({ WORKER_CLASS: "a, b" });
  });
});

describe("+=", () => {
  const cases: readonly [what: string, texts: string[], a: string][] = [
    ["appends to an earlier section's value", ["[global]\nA=1\n[1]\na += 2"], "1,2"],
    ["sets a key that is not set", ["[1]\nA += 2"], "2"],
    ["appends to an earlier file's value", ["[1]\nA = 1", "[1]\nA += 2"], "1,2"],
    ["of a later file replaces that of an earlier one", ["[1]\nA += 1", "[1]\nA += 2"], "2"],
    ["and = of one section both count", ["[1]\nA = 1\nA += 2"], "1,2"],
    ["counts once in a section, the first", ["[1]\nA += 1\nA += 2"], "1"],
    ["counts again when it is spelt otherwise", ["[1]\nA += 1\nA+=2\na += 3"], "1,2,3"],
  ];
  test.each(cases)("%s", (_, texts, a) => {
    expect(plainValues(1, ...texts)).toEqual({ A: a });
  });

  test("keeps the origins of both parts", () => {
    expect(valuesOf(1, "[global]\nA=1", "[1]\nA += 2").get("A")?.origin).toBe("F1:2, F2:2");
  });
});

describe("repeated keys", () => {
  const cases: readonly [what: string, texts: string[], a: string][] = [
    ["the first of a file counts", ["[1]\nA=1\nA=2"], "1"],
    ["in another case: the last spelling", ["[1]\nA=1\na=2\nA=3"], "2"],
    ["a later file's replaces it", ["[1]\nA=1", "[1]\nA=2\nA=3"], "2"],
  ];
  test.each(cases)("%s", (_, texts, a) => {
    expect(plainValues(1, ...texts)).toEqual({ A: a });
  });
});
