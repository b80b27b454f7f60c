import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../../src/errors.ts";
import { type Figures, measurementsSchema, readFigures, withPart, writeFigures } from "./figures-json.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "figures-"));
});
afterAll(() => rm(folder, { recursive: true }));

const figures: Figures = {
  parts: {
    cpu: {
      title: "CPU",
      date: "2026-01-01T00:00:00.000Z",
      seconds: 3,
      machine: { cpu: "x", cores: 2, memoryMb: 24_000, kernel: "6" },
      versions: { bun: "1" },
      loadAverage: 0.1,
      measurements: [
        { name: "a", unit: "ms", sides: { stock: [2, 3], ours: [1, 1.5] }, aim: { ratio: 0.5, to: "stock" } },
        { name: "b", unit: "MB", sides: { ours: [1] }, remark: "r" },
      ],
    },
  },
};

describe("figures in a file", () => {
  test("come back as they were, and nothing else lies beside them", async () => {
    const path = join(folder, "figures.json");
    await writeFigures(path, figures);
    expect(await readFigures(path)).toEqual(figures);
    expect(await readdir(folder)).toEqual(["figures.json"]);
  });

  test("are none where there is no file", async () => {
    expect(await readFigures(join(folder, "missing.json"))).toEqual({ parts: {} });
  });

  test.each([
    ["no JSON", "{"],
    ["something else", '{"name":"openqa-worker"}'],
    ["a sample that is no number", JSON.stringify(figures).replace("1.5", "null")],
  ])("are refused with the file's name when it holds %s", async (_, text) => {
    const path = join(folder, "other.json");
    await writeFile(path, text);
    const error = await readFigures(path).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect(String(error)).toContain(`${path} holds no figures of this benchmark`);
    await rm(path);
  });
});

test("a part that is measured again takes the place of its older figures; the others stay, in the order of the parts", () => {
  const { cpu } = figures.parts;
  if (cpu === undefined) throw new Error("no figures to merge with");
  const merged = withPart(figures, "memory", { ...cpu, seconds: 1 }, ["memory", "cpu"]);
  const again = withPart(merged, "memory", { ...cpu, seconds: 2 }, ["memory", "cpu"]);
  expect(Object.entries(again.parts).map(([name, { seconds }]) => [name, seconds])).toEqual([
    ["memory", 2],
    ["cpu", 3],
  ]);
});

test.each([
  ["no samples", []],
  ["a sample that was not measured", [1, Number.NaN]],
])("a measurement with %s is refused", (_, ours) => {
  expect(measurementsSchema.safeParse([{ name: "a", unit: "ms", sides: { ours } }]).success).toBeFalse();
});
