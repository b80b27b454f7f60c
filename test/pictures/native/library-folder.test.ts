import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openInFolder } from "../../../src/pictures/native/library-folder.ts";
import { playedLibrary } from "./played-library.ts";

const isRoot = process.geteuid?.() === 0;
const hourMs = 60 * 60 * 1000;
let scratch: string;
/** Where libraries are unpacked. */
let base: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "library-folder-"));
  base = join(scratch, ".cache/openqa-worker");
});
afterEach(() => rm(scratch, { recursive: true }));

const library = () => playedLibrary(scratch, "one");

/** What is loaded from the folder. */
async function contents(path = base, wanted = library()) {
  const embedded = await wanted;
  await using opened = await openInFolder(path, embedded);
  const [libvips, addon] = await Promise.all([
    opened.libvips.readFile("utf8"),
    opened.addon.readFile("utf8"),
  ]);
  return { libvips, addon };
}
const unpacked = { libvips: "libvips of one", addon: "addon of one" };

async function unpackedFiles() {
  const { id, libvips, addon } = await library();
  return { libvips: join(base, id, libvips.name), addon: join(base, id, addon.name) };
}

test("the library is unpacked once, into folders that only this user can read", async () => {
  expect(await contents()).toEqual(unpacked);
  const { libvips, addon } = await unpackedFiles();
  const before = [await lstat(libvips), await lstat(addon)];
  expect(await contents()).toEqual(unpacked);
  expect([await lstat(libvips), await lstat(addon)]).toEqual(before);
  expect(await readdir(base)).toEqual([(await library()).id]);
  for (const [path, mode] of [
    [join(scratch, ".cache"), 0o700],
    [base, 0o700],
    [libvips, 0o700],
    [addon, 0o700],
  ] as const)
    expect((await lstat(path)).mode & 0o777).toBe(mode);
});

describe("what is there is made again", () => {
  const damages: Record<string, (file: string) => Promise<void>> = {
    "when it is truncated": (file) => writeFile(file, "lib"),
    "when it is empty": (file) => writeFile(file, ""),
    "when its content is another of the same length": async (file) =>
      writeFile(file, (await readFile(file, "utf8")).replace("of", "fo")),
    "when it is longer": (file) => writeFile(file, "more", { flag: "a" }),
    "when it is missing": (file) => rm(file),
    "when others can write to it": (file) => chmod(file, 0o622),
    "when it is a link, even to the right content": async (file) => {
      await rename(file, join(scratch, "elsewhere"));
      await symlink(join(scratch, "elsewhere"), file);
    },
    "when it is a folder": async (file) => {
      await rm(file);
      await mkdir(file);
    },
  };
  for (const [name, damage] of Object.entries(damages))
    for (const part of ["libvips", "addon"] as const)
      test(`${name} (${part})`, async () => {
        await contents();
        const file = (await unpackedFiles())[part];
        await damage(file);
        expect(await contents()).toEqual(unpacked);
        expect(await readFile(file, "utf8")).toBe(unpacked[part]);
        expect((await lstat(file)).mode & 0o777).toBe(0o700);
        expect(await readdir(base)).toEqual([(await library()).id]);
      });
});

describe("a folder is refused, and nothing is put there,", () => {
  const refused = async (path: string, why: RegExp) => {
    await expect(contents(path)).rejects.toThrow(why);
  };

  test("when it belongs to another user", async () => {
    await mkdir(base, { recursive: true });
    if (isRoot) await chown(base, 12345, 12345);
    // Without root: one that is there.
    await refused(isRoot ? base : "/usr", /belongs to user \d+, expected \d+/);
    expect(await readdir(base)).toEqual([]);
  });

  for (const mode of [0o777, 0o1777, 0o720, 0o702])
    test(`when others can write to it (mode ${mode.toString(8)})`, async () => {
      await mkdir(base, { recursive: true });
      await chmod(base, mode);
      await refused(base, /is writable by others \(mode/);
      expect(await readdir(base)).toEqual([]);
    });

  test("when it is a link, even to a private folder", async () => {
    await mkdir(join(scratch, ".cache/private"), { recursive: true, mode: 0o700 });
    await symlink("private", base);
    await refused(base, /ENOTDIR/);
    expect(await readdir(join(scratch, ".cache/private"))).toEqual([]);
  });

  test("when it is a file", async () => {
    await mkdir(join(scratch, ".cache"));
    await writeFile(base, "");
    await refused(base, /ENOTDIR/);
  });

  test("when there is no home for it", async () => {
    await refused(join(scratch, "no-home/.cache/openqa-worker"), /ENOENT/);
    expect(await readdir(scratch)).not.toContain("no-home");
  });
});

test("a folder above it may be a link", async () => {
  await mkdir(join(scratch, "disk"));
  await symlink("disk", join(scratch, ".cache"));
  expect(await contents()).toEqual(unpacked);
  expect(await readdir(join(scratch, "disk/openqa-worker"))).toEqual([(await library()).id]);
});

test("what cannot be unpacked leaves nothing behind", async () => {
  const { libvips, ...rest } = await library();
  const broken = { ...rest, libvips: { ...libvips, sha256: "0".repeat(64) } };
  await expect(openInFolder(base, broken)).rejects.toThrow(`${libvips.name} has not the content`);
  expect(await readdir(base)).toEqual([]);
});

test("many that come at once all get it, and leave one", async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => contents()));
  expect(all).toEqual(all.map(() => unpacked));
  expect(await readdir(base)).toEqual([(await library()).id]);
});

test("many that come at once to a damaged one all get it, and leave one", async () => {
  await contents();
  await writeFile((await unpackedFiles()).addon, "");
  const all = await Promise.all(Array.from({ length: 20 }, () => contents()));
  expect(all).toEqual(all.map(() => unpacked));
  expect(await readdir(base)).toEqual([(await library()).id]);
  expect(await contents()).toEqual(unpacked);
});

test("what is open stays usable when it is replaced", async () => {
  await contents();
  await using opened = await openInFolder(base, await library());
  await rm(base, { recursive: true });
  expect(await opened.addon.readFile("utf8")).toBe(unpacked.addon);
});

describe("unpacking a version", () => {
  const longAgo = new Date(Date.now() - 2 * hourMs);
  const age = (name: string) => utimes(join(base, name), longAgo, longAgo);

  test("removes others that were unpacked some time ago, and what was left unfinished", async () => {
    const other = await playedLibrary(scratch, "other");
    await contents(base, Promise.resolve(other));
    const unfinished = `.${other.id}.${crypto.randomUUID()}`;
    await mkdir(join(base, unfinished));
    await writeFile(join(base, unfinished, "libvips"), "");
    for (const name of [other.id, unfinished]) await age(name);
    await contents();
    expect(await readdir(base)).toEqual([(await library()).id]);
  });

  test("leaves those alone that may be in use or in the making", async () => {
    const other = await playedLibrary(scratch, "other");
    await contents(base, Promise.resolve(other));
    const unfinished = `.${other.id}.${crypto.randomUUID()}`;
    await mkdir(join(base, unfinished));
    await contents();
    expect(await readdir(base)).toContainAllValues([unfinished, other.id, (await library()).id]);
    expect(await contents(base, Promise.resolve(other))).toEqual({
      libvips: "libvips of other",
      addon: "addon of other",
    });
  });

  test("leaves alone what this program has not made, and what another user has", async () => {
    const { id } = await playedLibrary(scratch, "other");
    const names = ["notes", `${id}.old`, "sharp-linux-x64-0123", `x${id}`];
    await mkdir(base, { recursive: true, mode: 0o700 });
    for (const name of [...names, id]) await mkdir(join(base, name));
    if (isRoot) await chown(join(base, id), 12345, 12345);
    for (const name of [...names, id]) await age(name);
    await contents();
    const left = isRoot ? [...names, id] : names;
    expect((await readdir(base)).sort()).toEqual([...left, (await library()).id].sort());
  });
});
