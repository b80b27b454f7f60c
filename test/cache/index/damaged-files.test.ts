import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { forgetOldest, setAside, sidecarSuffixes } from "../../../src/cache/index/damaged-files.ts";
import { statIfThere } from "../../../src/ops/stat-if-there.ts";
import { IndexSandbox } from "./index-sandbox.ts";

let sandbox: IndexSandbox;
beforeEach(async () => {
  sandbox = await IndexSandbox.make();
});
afterEach(() => sandbox[Symbol.asyncDispose]());

test("an index is set aside with all that SQLite has beside it, under names that belong together", async () => {
  const { folder } = sandbox;
  const suffixes = ["", ...sidecarSuffixes];
  for (const suffix of suffixes) await writeFile(folder.indexFile + suffix, `content${suffix}`);
  const path = await setAside(folder, suffixes);
  for (const suffix of suffixes) {
    expect(await readFile(path + suffix, "utf8")).toBe(`content${suffix}`);
    expect(await statIfThere(folder.indexFile + suffix)).toBeUndefined();
  }
});

test("the three that came last are kept, each with its files, and nothing else is removed", async () => {
  const { damagedFolder } = sandbox.folder;
  const names = [1, 2, 3, 4, 5].map((second) => `cache.2026-11-24T16-00-0${second}-000.sqlite`);
  for (const name of [...names, "repair", "cache.sqlite.of-somebody"]) {
    await writeFile(join(damagedFolder, name), "");
    await writeFile(join(damagedFolder, `${name}-journal`), "");
  }
  await forgetOldest(sandbox.folder);
  const kept = names.slice(2).flatMap((name) => [name, `${name}-journal`]);
  expect(await sandbox.damaged()).toEqual(
    [...kept, "cache.sqlite.of-somebody", "cache.sqlite.of-somebody-journal"].sort(),
  );
});
