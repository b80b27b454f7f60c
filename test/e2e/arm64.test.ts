// The executable for arm64, built on this machine and run by qemu.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { version } from "../../package.json";
import { optimiseOne } from "../support/one-picture.ts";

const testMs = 180_000;
const root = join(import.meta.dir, "../..");
/** Debian's libraries for arm64. */
const QEMU_LD_PREFIX = "/usr/aarch64-linux-gnu";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "arm64-"));
  const command = [process.execPath, "run", "build.ts", join(folder, "openqa-worker"), "--arch", "arm64"];
  const build = Bun.spawn(command, { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  expect(await build.exited).toBe(0);
}, testMs);
afterAll(() => rm(folder, { recursive: true }));

const emulated = (...words: string[]) => ["qemu-aarch64", join(folder, "openqa-worker"), ...words];
const surroundings = () => ({ cwd: folder, env: { HOME: folder, QEMU_LD_PREFIX } });

async function output(...words: string[]): Promise<string> {
  await using child = Bun.spawn(emulated(...words), {
    ...surroundings(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  return await child.stdout.text();
}

test(
  "answers --version and --help",
  async () => {
    expect(await output("--version")).toBe(`${version}\n`);
    expect(await output("--help")).toContain("Usage: openqa-worker");
  },
  testMs,
);

test(
  "optimises a picture with the sharp that is inside",
  async () => {
    const pool = join(folder, "pool");
    await mkdir(pool);
    const { answer, pictureFile, copyFile, maps } = await optimiseOne(emulated("__pictures"), {
      ...surroundings(),
      pool,
    });
    expect(answer.outcome).toBe("smaller");
    const pixels = async (file: string) =>
      await sharp(await readFile(file))
        .toColourspace("srgb")
        .removeAlpha()
        .raw()
        .toBuffer();
    expect(await pixels(copyFile)).toEqual(await pixels(pictureFile));
    expect(maps).toContain(`${folder}/.cache/openqa-worker/sharp-linux-arm64-`);
  },
  testMs,
);
