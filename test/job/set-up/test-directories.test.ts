import { describe, expect, test } from "bun:test";
import { lstat, mkdir, readdir, readFile, readlink, symlink } from "node:fs/promises";
import { join } from "node:path";
import { SetupFailure } from "../../../src/errors.ts";
import {
  defaultDirectories,
  findTestRoot,
  placeTestDirectories,
} from "../../../src/job/set-up/test-directories.ts";
import { JobHost, recordingContext } from "../job-host.ts";

const url = "https://git.example/os/distri.git#main";
const needlesUrl = "git@git.example:os/needles.git";

interface Row {
  readonly name: string;
  readonly given: Record<string, string>;
  /** ROOT stands for the test root. */
  readonly values: Record<string, string | undefined>;
  readonly links: Record<string, string>;
}

// In the root: opensuse with products/opensuse, opensuse-15 without products, sle with products/microos.
const files = {
  "share/tests/opensuse/products/opensuse/needles/a": "",
  "share/tests/opensuse/needles/a": "",
  "share/tests/opensuse/own/x/y/a": "",
  "share/tests/opensuse-15/needles/a": "",
  "share/tests/sle/products/microos/needles/a": "",
  "share/tests/sle/needles/a": "",
  "share/tests/a/b/needles/a": "",
  "mine/x/y/a": "",
};
const distri = { DISTRI: "opensuse", VERSION: "Tumbleweed" };

const linked: readonly Row[] = [
  {
    name: "none of the three",
    given: distri,
    values: { CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse", NEEDLES_DIR: undefined },
    links: { opensuse: "ROOT/opensuse" },
  },
  {
    name: "none of the three, a versioned directory without products",
    given: { DISTRI: "opensuse", VERSION: "15" },
    values: { CASEDIR: "opensuse-15", PRODUCTDIR: "opensuse-15", NEEDLES_DIR: undefined },
    links: { "opensuse-15": "ROOT/opensuse-15" },
  },
  {
    name: "PRODUCTDIR",
    given: { ...distri, PRODUCTDIR: "mine" },
    values: { CASEDIR: "opensuse", PRODUCTDIR: "mine", NEEDLES_DIR: "needles" },
    links: { opensuse: "ROOT/opensuse", needles: "ROOT/opensuse/products/opensuse/needles" },
  },
  {
    name: "CASEDIR = B",
    given: { ...distri, CASEDIR: "opensuse" },
    values: { CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse", NEEDLES_DIR: "needles" },
    links: { opensuse: "ROOT/opensuse", needles: "ROOT/opensuse/products/opensuse/needles" },
  },
  {
    name: "CASEDIR = B, that of another distribution",
    given: { DISTRI: "microos", VERSION: "1", CASEDIR: "sle" },
    values: { CASEDIR: "sle", PRODUCTDIR: "sle/products/microos", NEEDLES_DIR: "needles" },
    links: { sle: "ROOT/sle", needles: "ROOT/sle/needles" },
  },
  {
    name: "CASEDIR = B without DISTRI",
    given: { CASEDIR: "opensuse" },
    values: { CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse", NEEDLES_DIR: "needles" },
    links: { opensuse: "ROOT/opensuse", needles: "ROOT/opensuse/products/opensuse/needles" },
  },
  {
    name: "CASEDIR relative, with a folder",
    given: { ...distri, CASEDIR: "a/b" },
    values: { CASEDIR: "a/b", PRODUCTDIR: ".", NEEDLES_DIR: "needles" },
    links: { needles: "ROOT/a/b/needles" },
  },
  {
    name: "CASEDIR relative, a versioned one exists",
    given: { DISTRI: "opensuse", VERSION: "15", CASEDIR: "opensuse" },
    values: { CASEDIR: "opensuse", PRODUCTDIR: ".", NEEDLES_DIR: "needles" },
    links: { needles: "ROOT/opensuse-15/needles" },
  },
  {
    name: "CASEDIR absolute",
    given: { ...distri, CASEDIR: "/mine" },
    values: { CASEDIR: "/mine", PRODUCTDIR: "products/opensuse", NEEDLES_DIR: "needles" },
    links: { needles: "ROOT/opensuse/products/opensuse/needles" },
  },
  {
    name: "CASEDIR absolute, no products",
    given: { DISTRI: "opensuse", VERSION: "15", CASEDIR: "/mine" },
    values: { CASEDIR: "/mine", PRODUCTDIR: ".", NEEDLES_DIR: "needles" },
    links: { needles: "ROOT/opensuse-15/needles" },
  },
  {
    name: "CASEDIR URL",
    given: { ...distri, CASEDIR: url },
    values: { CASEDIR: url, PRODUCTDIR: "products/opensuse", NEEDLES_DIR: "needles" },
    links: { needles: "ROOT/opensuse/products/opensuse/needles" },
  },
  {
    name: "CASEDIR and NEEDLES_DIR URLs",
    given: { ...distri, CASEDIR: url, NEEDLES_DIR: needlesUrl },
    values: { CASEDIR: url, PRODUCTDIR: undefined, NEEDLES_DIR: needlesUrl },
    links: {},
  },
  {
    name: "CASEDIR and NEEDLES_DIR URLs, nothing on the host",
    given: { DISTRI: "unknown", CASEDIR: url, NEEDLES_DIR: needlesUrl, PRODUCTDIR: "p" },
    values: { CASEDIR: url, PRODUCTDIR: "p", NEEDLES_DIR: needlesUrl },
    links: {},
  },
  {
    name: "NEEDLES_DIR relative",
    given: { ...distri, NEEDLES_DIR: "x/y" },
    values: { CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse", NEEDLES_DIR: "y" },
    links: { opensuse: "ROOT/opensuse", y: "ROOT/opensuse/products/opensuse/needles" },
  },
  {
    name: "NEEDLES_DIR in the default case directory",
    given: { ...distri, NEEDLES_DIR: "%CASEDIR%/own/x/y" },
    values: { CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse", NEEDLES_DIR: "y" },
    links: { opensuse: "ROOT/opensuse", y: "opensuse/own/x/y" },
  },
  {
    name: "NEEDLES_DIR in a URL, any case",
    given: { ...distri, CASEDIR: url, NEEDLES_DIR: "%casedir%/x/y" },
    values: { CASEDIR: url, PRODUCTDIR: "products/opensuse", NEEDLES_DIR: "y" },
    links: { y: "distri/x/y" },
  },
  {
    name: "NEEDLES_DIR in an absolute CASEDIR",
    given: { ...distri, CASEDIR: "MINE", NEEDLES_DIR: "%CASEDIR%/x/y" },
    values: { CASEDIR: "MINE", PRODUCTDIR: "products/opensuse", NEEDLES_DIR: "y" },
    links: { y: "MINE/x/y" },
  },
  {
    name: "NEEDLES_DIR absolute",
    given: { ...distri, NEEDLES_DIR: "/needles" },
    values: { CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse", NEEDLES_DIR: "/needles" },
    links: { opensuse: "ROOT/opensuse" },
  },
  {
    name: "NEEDLES_DIR URL",
    given: { ...distri, NEEDLES_DIR: needlesUrl },
    values: { CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse", NEEDLES_DIR: needlesUrl },
    links: { opensuse: "ROOT/opensuse" },
  },
  {
    name: "all three empty",
    given: { ...distri, CASEDIR: "", NEEDLES_DIR: "" },
    values: { CASEDIR: "opensuse", PRODUCTDIR: "opensuse/products/opensuse", NEEDLES_DIR: "" },
    links: { opensuse: "ROOT/opensuse" },
  },
];

const absolute: readonly Row[] = [
  {
    name: "none of the three",
    given: distri,
    values: {
      CASEDIR: "ROOT/opensuse",
      PRODUCTDIR: "ROOT/opensuse/products/opensuse",
      NEEDLES_DIR: undefined,
    },
    links: {},
  },
  {
    name: "PRODUCTDIR",
    given: { ...distri, PRODUCTDIR: "mine" },
    values: {
      CASEDIR: "ROOT/opensuse",
      PRODUCTDIR: "mine",
      NEEDLES_DIR: "ROOT/opensuse/products/opensuse/needles",
    },
    links: {},
  },
  ...["/mine", url].map((CASEDIR) => ({
    name: `CASEDIR ${CASEDIR}`,
    given: { ...distri, CASEDIR },
    values: {
      CASEDIR,
      PRODUCTDIR: "products/opensuse",
      NEEDLES_DIR: "ROOT/opensuse/products/opensuse/needles",
    },
    links: {},
  })),
  {
    name: "CASEDIR relative but not B",
    given: { ...distri, CASEDIR: "a/b" },
    values: { CASEDIR: "a/b", PRODUCTDIR: ".", NEEDLES_DIR: "ROOT/a/b/needles" },
    links: {},
  },
  {
    name: "CASEDIR = B",
    given: { ...distri, CASEDIR: "opensuse" },
    values: {
      CASEDIR: "opensuse",
      PRODUCTDIR: "opensuse/products/opensuse",
      NEEDLES_DIR: "ROOT/opensuse/products/opensuse/needles",
    },
    links: { opensuse: "ROOT/opensuse" },
  },
  {
    name: "NEEDLES_DIR relative",
    given: { ...distri, NEEDLES_DIR: "x/y" },
    values: { CASEDIR: "ROOT/opensuse", PRODUCTDIR: "ROOT/opensuse/products/opensuse", NEEDLES_DIR: "y" },
    links: { y: "ROOT/opensuse/products/opensuse/needles" },
  },
  {
    name: "NEEDLES_DIR in the case directory",
    given: { ...distri, NEEDLES_DIR: "%CASEDIR%/own/x/y" },
    values: { CASEDIR: "ROOT/opensuse", PRODUCTDIR: "ROOT/opensuse/products/opensuse", NEEDLES_DIR: "y" },
    links: { y: "ROOT/opensuse/own/x/y" },
  },
];

function placing(host: JobHost, settings: Record<string, string>) {
  const places = { testRoot: host.path("share/tests"), poolDirectory: host.pool };
  return placeTestDirectories(settings, places, recordingContext());
}

async function linksIn(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readlink(join(folder, name))])),
  );
}

function check({ name, given, values, links }: Row, more: Record<string, string>) {
  test(name, async () => {
    await using host = await JobHost.make(files);
    const here = (text: string) =>
      text.replace(/^ROOT/, host.path("share/tests")).replace(/^MINE/, host.path("mine"));
    const each = <T extends string | undefined>(record: Record<string, T>) =>
      Object.fromEntries(
        Object.entries(record).flatMap(([key, text]) => (text === undefined ? [] : [[key, here(text)]])),
      );
    const settings: Record<string, string> = { ...each(given), ...more };
    const { CASEDIR: _c, PRODUCTDIR: _p, NEEDLES_DIR: _n, ...others } = settings;
    expect(await placing(host, settings)).toEqual({ ...others, ...each(values) });
    expect(await linksIn(host.pool)).toEqual(each(links));
  });
}

describe("with links in the pool", () => {
  for (const row of linked) check(row, {});
});
describe("with ABSOLUTE_TEST_CONFIG_PATHS", () => {
  for (const row of absolute) check(row, { ABSOLUTE_TEST_CONFIG_PATHS: "1" });
});

test("a link leads to what is there, also one link through another", async () => {
  await using host = await JobHost.make({ "share/tests/opensuse/own/x": "found" });
  await placing(host, { ...distri, NEEDLES_DIR: "%CASEDIR%/own" });
  expect(await readFile(join(host.pool, "own/x"), "utf8")).toBe("found");
});

describe("what does not exist is named", () => {
  const rows: readonly (readonly [Record<string, string>, string])[] = [
    [{ DISTRI: "fedora" }, "The source directory ROOT/fedora does not exist"],
    [
      { ...distri, CASEDIR: "/mine", DISTRI: "none" },
      "The source directory ROOT/none/needles does not exist",
    ],
    [{ ...distri, NEEDLES_DIR: "%CASEDIR%/nowhere" }, "The source directory opensuse/nowhere does not exist"],
  ];
  for (const [settings, expected] of rows)
    test(expected, async () => {
      await using host = await JobHost.make(files);
      const error = await placing(host, settings).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(SetupFailure);
      expect(error.category).toBe("setup failure");
      expect(error.message).toBe(expected.replace("ROOT", host.path("share/tests")));
    });
});

describe("names that must not be taken in the pool", () => {
  const rows: readonly (readonly [Record<string, string>, string])[] = [
    [{ NEEDLES_DIR: ".." }, '".."'],
    [{ NEEDLES_DIR: "x/.." }, '".."'],
    [{ NEEDLES_DIR: "." }, '"."'],
    [{ NEEDLES_DIR: ".locked" }, '".locked"'],
    [{ NEEDLES_DIR: "x/.openqa-worker" }, '".openqa-worker"'],
    [{ NEEDLES_DIR: "autoinst-log.txt" }, '"autoinst-log.txt"'],
    [{ CASEDIR: ".locked" }, '".locked"'],
  ];
  for (const [settings, name] of rows)
    test(JSON.stringify(settings), async () => {
      await using host = await JobHost.make({ ...files, "share/tests/.locked/needles/a": "" });
      await host.write({ "pool/1/.locked": "1", "pool/keep": "kept" });
      await expect(placing(host, { ...distri, ...settings })).rejects.toThrow(
        `The name ${name} cannot be used in the pool directory`,
      );
      expect(await readFile(join(host.pool, ".locked"), "utf8")).toBe("1");
      expect(await readFile(host.path("pool/keep"), "utf8")).toBe("kept");
    });
});

test("an old link, file or folder of the name is replaced, not what it leads to", async () => {
  for (const leftOver of ["link", "file", "folder"]) {
    await using host = await JobHost.make({ ...files, "precious/a": "kept" });
    const place = join(host.pool, "opensuse");
    if (leftOver === "link") await symlink(host.path("precious"), place);
    if (leftOver === "file") await Bun.write(place, "x");
    if (leftOver === "folder") await mkdir(join(place, "x"), { recursive: true });
    await placing(host, distri);
    expect(await readlink(place)).toBe(host.path("share/tests/opensuse"));
    expect(await readFile(host.path("precious/a"), "utf8")).toBe("kept");
  }
});

test("a link that cannot be made says why", async () => {
  await using host = await JobHost.make(files);
  const places = { testRoot: host.path("share/tests"), poolDirectory: host.path("gone") };
  await expect(placeTestDirectories(distri, places, recordingContext())).rejects.toThrow(
    `Cannot create symlink from "${host.path("share/tests/opensuse")}" to "${host.path("gone/opensuse")}": No such file or directory`,
  );
});

test("paths of 10 MB or with NUL name nothing that exists", async () => {
  await using host = await JobHost.make(files);
  for (const CASEDIR of ["x".repeat(1e7), "a\0b", "/a\0b"])
    await expect(placing(host, { DISTRI: CASEDIR.slice(0, 5), CASEDIR })).rejects.toThrow(SetupFailure);
  expect(lstat(join(host.pool, "needles"))).rejects.toThrow();
});

describe("the test root", () => {
  const rows: readonly (readonly [readonly string[], string])[] = [
    [["share/tests", "tests"], "share/tests"],
    [["share/tests"], "share/tests"],
    [["tests"], "tests"],
    [[], "share/tests"],
  ];
  for (const [folders, expected] of rows)
    test(`of ${folders.join(" and ") || "nothing"} is ${expected}`, async () => {
      await using host = await JobHost.make();
      for (const folder of folders) await mkdir(host.path(folder), { recursive: true });
      expect(await findTestRoot(host.settings.projectDirectory)).toBe(host.path(expected));
    });
});

test("without DISTRI the root itself is the case directory", async () => {
  await using host = await JobHost.make(files);
  const root = host.path("share/tests");
  expect(await defaultDirectories({}, root)).toEqual({
    caseDirectory: root,
    productDirectory: root,
    needles: join(root, "needles"),
  });
});
