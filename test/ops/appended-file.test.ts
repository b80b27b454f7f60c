import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppendedFile, flushOpenFiles } from "../../src/ops/appended-file.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "appended-file-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("lines arrive in order, after what was there", async () => {
  const path = join(folder, "log");
  await writeFile(path, "before\n");
  const file = await AppendedFile.open(path);
  for (let line = 0; line < 100; line++) file.write(`${line}\n`);
  await file.flush();
  file.write("last\n");
  await file.close();
  const lines = (await readFile(path, "utf8")).split("\n");
  expect(lines).toEqual(["before", ...Array.from({ length: 100 }, (_, line) => String(line)), "last", ""]);
});

test("a fresh file is never opened through a link that lies in its place", async () => {
  const outside = join(folder, "outside");
  await writeFile(outside, "precious");
  await symlink(outside, join(folder, "log"));
  await expect(AppendedFile.open(join(folder, "log"), { isFresh: true })).rejects.toThrow("EEXIST");
  expect(await readFile(outside, "utf8")).toBe("precious");
});

test("a file that cannot be written is told, and flushing does not hang", async () => {
  const errors: unknown[] = [];
  const file = await AppendedFile.open("/dev/full", { onError: (error) => errors.push(error) });
  file.write("x\n");
  await file.flush();
  expect(String(errors[0])).toContain("ENOSPC");
  await file.close();
});

test("what was written is in the files when a process is about to exit without closing them", async () => {
  const path = join(folder, "log");
  const file = await AppendedFile.open(path);
  file.write("last words\n");
  await flushOpenFiles(10_000);
  expect(await Bun.file(path).text()).toBe("last words\n");
  await file.close();
});
