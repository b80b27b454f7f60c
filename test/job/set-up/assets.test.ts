import { describe, expect, test } from "bun:test";
import { link, lstat, mkdir, readFile, readlink, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { SetupFailure } from "../../../src/errors.ts";
import {
  type Asset,
  assetsInShare,
  assetType,
  findAssets,
  placeAssets,
} from "../../../src/job/set-up/assets.ts";
import { JobHost, recordingContext } from "../job-host.ts";

describe("which settings are assets", () => {
  const rows: readonly (readonly [string, string, string | undefined])[] = [
    ["ISO", "a.iso", "iso"],
    ["ISO_1", "a.iso", "iso"],
    ["ISO_12", "a.iso", "iso"],
    ["ISO", "/a.iso", "iso"],
    ["HDD_1", "a.qcow2", "hdd"],
    ["UEFI_PFLASH_CODE", "code.bin", "hdd"],
    ["UEFI_PFLASH_VARS", "vars.bin", "hdd"],
    ["ASSET_1", "a.txt", "other"],
    ["KERNEL", "linux", "other"],
    ["INITRD", "initrd", "other"],
    ["KERNEL", "/boot/linux", undefined],
    ["INITRD", "/boot/initrd", undefined],
    ["UEFI_PFLASH_CODE", "/usr/share/code.bin", undefined],
    ["UEFI_PFLASH_VARS", "/usr/share/vars.bin", undefined],
    ["REPO_1", "repo", undefined],
    ["ISO", "", undefined],
    ["HDD_1", "0", undefined],
    ["ISO_MAXSIZE", "1", undefined],
    ["ISO_1_URL", "http://a", undefined],
    ["HDD", "a", undefined],
    ["HDD_1_DECOMPRESS_URL", "a", undefined],
    ["ASSET", "a", undefined],
    ["XISO", "a", undefined],
    ["iso", "a", undefined],
    ["__proto__", "a", undefined],
  ];
  for (const [setting, value, expected] of rows)
    test(`${setting}=${value} → ${expected}`, () =>
      expect(assetType(setting, value)).toBe(expected as "iso"));
});

async function placing(host: JobHost, settings: Record<string, string>, context = recordingContext()) {
  const source = assetsInShare(host.share, settings);
  const found = await findAssets(settings, source, context);
  return await placeAssets(settings, found, { ...source, poolDirectory: host.pool }, context);
}

async function failure(host: JobHost, settings: Record<string, string>): Promise<string> {
  const error = await placing(host, settings).catch((thrown) => thrown);
  if (!(error instanceof SetupFailure)) throw new Error(`Not a set-up failure: ${JSON.stringify(error)}`);
  expect(error.category).toBe("asset failure");
  return error.message;
}

const inode = async (path: string) => (await stat(path)).ino;

test("assets are hard linked into the pool and settings become their base names", async () => {
  await using host = await JobHost.make({
    "share/factory/iso/a.iso": "iso",
    "share/factory/hdd/fixed/b.qcow2": "hdd",
    "share/factory/other/sub/c.txt": "other",
    "share/factory/iso/fixed/d.iso": "fixed",
  });
  const settings = {
    ISO: "a.iso",
    HDD_1: "b.qcow2",
    ASSET_1: "sub/c.txt",
    ISO_1: "fixed/d.iso",
    REPO_0: "r",
  };
  expect(await placing(host, settings)).toEqual({ ...settings, ASSET_1: "c.txt", ISO_1: "d.iso" });
  for (const [name, source] of [
    ["a.iso", "iso/a.iso"],
    ["b.qcow2", "hdd/fixed/b.qcow2"],
    ["c.txt", "other/sub/c.txt"],
    ["d.iso", "iso/fixed/d.iso"],
  ] as const)
    expect(await inode(join(host.pool, name))).toBe(await inode(join(host.share, "factory", source)));
});

test("the folder of the type comes before its fixed one", async () => {
  await using host = await JobHost.make({
    "share/factory/iso/a.iso": "newer",
    "share/factory/iso/fixed/a.iso": "fixed",
  });
  await placing(host, { ISO: "a.iso" });
  expect(await readFile(join(host.pool, "a.iso"), "utf8")).toBe("newer");
});

test("what is a symlink itself, and a directory, is symlinked", async () => {
  await using host = await JobHost.make({ "elsewhere.iso": "x", "share/factory/other/folder/file": "y" });
  await mkdir(join(host.share, "factory/iso"), { recursive: true });
  await symlink(host.path("elsewhere.iso"), join(host.share, "factory/iso/a.iso"));
  const context = recordingContext();
  await placing(host, { ISO: "a.iso", ASSET_1: "folder" }, context);
  expect(await readlink(join(host.pool, "a.iso"))).toBe(join(host.share, "factory/iso/a.iso"));
  expect(await readlink(join(host.pool, "folder"))).toBe(join(host.share, "factory/other/folder"));
  expect(context.lines).toContain(
    "[debug] Symlinking asset because hardlink failed: Operation not permitted",
  );
});

test("a file of that name in the pool is removed first, not what it leads to", async () => {
  await using host = await JobHost.make({ "share/factory/iso/a.iso": "new", "precious/a.iso": "old" });
  for (const leftOver of [
    () => link(host.path("precious/a.iso"), join(host.pool, "a.iso")),
    () => symlink(host.path("precious"), join(host.pool, "a.iso")),
    () => mkdir(join(host.pool, "a.iso/b"), { recursive: true }),
  ]) {
    await Bun.$`rm -rf ${join(host.pool, "a.iso")}`;
    await leftOver();
    await placing(host, { ISO: "a.iso" });
    expect(await readFile(join(host.pool, "a.iso"), "utf8")).toBe("new");
    expect(await readFile(host.path("precious/a.iso"), "utf8")).toBe("old");
  }
});

test("with absolute paths nothing is linked", async () => {
  await using host = await JobHost.make({ "share/factory/iso/fixed/a.iso": "x" });
  const settings = { ISO: "a.iso", ABSOLUTE_TEST_CONFIG_PATHS: "1" };
  const path = join(host.share, "factory/iso/fixed/a.iso");
  expect(await placing(host, settings)).toEqual({ ...settings, ISO: path });
  expect(lstat(join(host.pool, "a.iso"))).rejects.toThrow();
});

describe("a missing asset", () => {
  test("is named", async () => {
    await using host = await JobHost.make({ "share/factory/iso/a.iso": "x" });
    expect(await failure(host, { ISO: "b.iso" })).toBe("Cannot find ISO asset iso/b.iso!");
    expect(await failure(host, { HDD_2: "a.iso" })).toBe("Cannot find HDD_2 asset hdd/a.iso!");
    await symlink("nowhere", join(host.share, "factory/iso/dangling"));
    expect(await failure(host, { ISO: "dangling" })).toBe("Cannot find ISO asset iso/dangling!");
  });

  test("does not matter for UEFI_PFLASH_VARS without UEFI", async () => {
    await using host = await JobHost.make();
    const settings = { UEFI_PFLASH_VARS: "vars.bin" };
    expect(await placing(host, settings)).toEqual(settings);
    expect(await placing(host, { ...settings, UEFI: "0" })).toEqual({ ...settings, UEFI: "0" });
    expect(await failure(host, { ...settings, UEFI: "1" })).toBe(
      "Cannot find UEFI_PFLASH_VARS asset hdd/vars.bin!",
    );
  });
});

describe("a name that leads elsewhere", () => {
  const noFile = "is no name of a file in the asset folder";
  const rows: readonly (readonly [string, string])[] = [
    ["../../../outside", `Cannot find ISO asset "iso/../../../outside": this ${noFile}`],
    ["../hdd/a.qcow2", `Cannot find ISO asset "iso/../hdd/a.qcow2": this ${noFile}`],
    ["sub/..", `Cannot find ISO asset "iso/sub/..": this ${noFile}`],
    [".", `Cannot find ISO asset "iso/.": this ${noFile}`],
    ["///", `Cannot find ISO asset "iso////": this ${noFile}`],
    ["a\0.iso", `Cannot find ISO asset "iso/a\\u0000.iso": this ${noFile}`],
    ["x".repeat(256), `Cannot find ISO asset "iso/${"x".repeat(196)}": this is too long`],
    ["x/".repeat(5_000_000), `Cannot find ISO asset "iso/${"x/".repeat(98)}": this is too long`],
    ["/outside", "Cannot find ISO asset iso//outside!"],
    [".locked", 'The name ".locked" cannot be used in the pool directory'],
    ["sub/.openqa-worker", 'The name ".openqa-worker" cannot be used in the pool directory'],
    ["autoinst-log.txt", 'The name "autoinst-log.txt" cannot be used in the pool directory'],
  ];
  for (const [name, expected] of rows)
    test(JSON.stringify(name.slice(0, 40)), async () => {
      await using host = await JobHost.make({
        outside: "x",
        "pool/1/.locked": "1",
        "share/factory/iso/.locked": "x",
      });
      expect(await failure(host, { ISO: name })).toBe(expected);
      expect(await readFile(join(host.pool, ".locked"), "utf8")).toBe("1");
      expect(await readFile(host.path("outside"), "utf8")).toBe("x");
    });
});

test("stopped amid the assets, no more is linked", async () => {
  await using host = await JobHost.make({ "share/factory/iso/a.iso": "x" });
  const context = recordingContext();
  const source = assetsInShare(host.share, {});
  const found = await findAssets({ ISO: "a.iso" }, source, context);
  const stopped = { ...context, signal: AbortSignal.abort(new Error("stopped")) };
  const placed = placeAssets({ ISO: "a.iso" }, found, { ...source, poolDirectory: host.pool }, stopped);
  await expect(placed).rejects.toThrow("stopped");
  expect(lstat(join(host.pool, "a.iso"))).rejects.toThrow();
});

test("assets are looked for side by side, and the first that fails ends the others", async () => {
  const asked: string[] = [];
  const ended: string[] = [];
  const source = {
    isAlwaysLinked: false,
    find: ({ setting }: Asset, { signal }: { signal: AbortSignal }) => {
      asked.push(setting);
      if (setting === "ISO") return Promise.reject(new Error("ISO is broken"));
      return new Promise<undefined>((_, reject) =>
        signal.addEventListener("abort", () => {
          ended.push(setting);
          reject(signal.reason);
        }),
      );
    },
  };
  const found = findAssets({ HDD_1: "a", ISO: "b", ISO_1: "c" }, source, recordingContext());
  await expect(found).rejects.toThrow("ISO is broken");
  expect({ asked, ended }).toEqual({ asked: ["HDD_1", "ISO", "ISO_1"], ended: ["HDD_1", "ISO_1"] });
});

test.each([" .locked", " .openqa-worker", " autoinst-log.txt", " .. ", "\t/"])(
  "blanks do not hide the name %j",
  async (name) => {
    await using host = await JobHost.make({ "pool/1/.locked": "1" });
    const source = { isAlwaysLinked: true, find: async () => host.path("pool/1/.locked") };
    const found = findAssets({ ISO: name }, source, recordingContext());
    await expect(found).rejects.toBeInstanceOf(SetupFailure);
  },
);

test("what always is linked has absolute paths in the pool", async () => {
  await using host = await JobHost.make({ "cache/h/a.iso": "x" });
  const source = { isAlwaysLinked: true, poolDirectory: host.pool };
  const asset = { setting: "ISO", type: "iso", name: "a.iso", path: host.path("cache/h/a.iso") } as const;
  const settings = { ISO: "a.iso", ABSOLUTE_TEST_CONFIG_PATHS: "1" };
  const placed = await placeAssets(settings, [asset], source, recordingContext());
  expect(placed["ISO"]).toBe(join(host.pool, "a.iso"));
  expect(await readFile(join(host.pool, "a.iso"), "utf8")).toBe("x");
});
