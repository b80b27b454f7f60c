import { expect, test } from "bun:test";
import { loadPart, partNames } from "./part-files.ts";

test("the whole benchmark takes at most an hour", async () => {
  const parts = await Promise.all((await partNames()).map(loadPart));
  expect(parts.length).toBeGreaterThan(0);
  expect(parts.reduce((sum, { minutes }) => sum + minutes, 0)).toBeLessThanOrEqual(60);
});
