import { afterEach, beforeEach, expect, test } from "bun:test";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "build-"));
  for (const name of ["build.ts", "build", "src/ops"])
    await cp(join(root, name), join(folder, name), { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

/** What a build in the folder writes to stderr. It has to fail. */
async function failingBuild(...words: string[]): Promise<string> {
  await using child = Bun.spawn([process.execPath, "run", "build.ts", ...words], {
    cwd: folder,
    stdio: ["ignore", "inherit", "pipe"],
  });
  const message = await child.stderr.text();
  expect(await child.exited).toBe(1);
  return message;
}

test("without installed packages one line says what to run", async () => {
  expect(await failingBuild("out")).toBe(
    `build.ts: sharp for linux-${process.arch} is not in node_modules: run "bun install --frozen-lockfile" first\n`,
  );
});

test("an architecture that there is no executable for is named, with those there are", async () => {
  expect(await failingBuild("--arch", "riscv")).toBe("build.ts: --arch riscv: expected x64 or arm64\n");
});

test("when sharp's files are not what they were, nothing is built without them", async () => {
  for (const name of [`sharp-linux-${process.arch}`, `sharp-libvips-linux-${process.arch}`])
    await mkdir(join(folder, "node_modules/@img", name, "lib"), { recursive: true });
  expect(await failingBuild("out")).toMatch(/sharp-libvips-linux-\w+\/lib has 0 files of .*, expected one/);
});

test("a build that fails leaves the executable of the one before alone", async () => {
  for (const [name, file] of [
    [`sharp-libvips-linux-${process.arch}`, "libvips-cpp.so.1"],
    [`sharp-linux-${process.arch}`, "sharp.node"],
  ] as const) {
    await mkdir(join(folder, "node_modules/@img", name, "lib"), { recursive: true });
    await writeFile(join(folder, "node_modules/@img", name, "lib", file), file);
  }
  await writeFile(join(folder, "out"), "the one before");
  expect(await failingBuild("out")).toContain("commands/main.ts");
  expect(await readFile(join(folder, "out"), "utf8")).toBe("the one before");
  expect(await readdir(folder)).not.toContain("out.new");
});
